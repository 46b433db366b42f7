#pragma once
#include <filesystem>
#include <fstream>
#include <string>

#include "base/files.h"
#include "base/json_reader.h"
#include "base/message.h"
#include "support/tiny_models.h"
#include "train/config.h"

namespace refrag::train {

/// A folder with toy data, and configs over it that train for seconds.
class ToyData {
 public:
  static constexpr int kDocuments = 40;

  ToyData() {
    std::ofstream documents(path("documents.jsonl"));
    std::ofstream questions(path("questions.jsonl"));
    const char* colours[] = {"red", "green", "blue", "black"};
    for (int n = 0; n < kDocuments; ++n) {
      const std::string name = message("box ", n);
      const std::string colour = colours[n % 4];
      const std::string text = message("The ", name, " stands in the hall. Its colour is ", colour, " and it is open.");
      documents << Json{{"id", name}, {"title", name}, {"text", text}}.dump() << '\n';
      questions
          << Json{{"question", "What is the colour of " + name + "?"}, {"answer", colour}, {"document", name}}.dump()
          << '\n';
    }
  }

  std::filesystem::path path(const std::string& name) const { return directory_.path() / name; }

  /// A config whose start is a new decoder, or the bundle of another run.
  Json config(const std::string& out, std::uint64_t steps, double learning_rate) const {
    return {{"out", path(out)},
            {"data", {{"cache", path("cache")}}},
            {"start", {{"bundle", path("pretrain/bundle")}}},
            {"steps", steps},
            {"batch", {{"tokens", 192}}},
            {"optimizer", {{"learning_rate", learning_rate}}},
            {"run", {{"threads", 1}, {"dtype", "fp32"}, {"log_every", 1}, {"checkpoint_every", 4}}}};
  }

  Json pretrain_config(std::uint64_t steps) const {
    Json json = config("pretrain", steps, 0.01);
    json["start"] = {{"name", "toy"},
                     {"tokenizer", testing::golden_tokenizer("sp_bpe_llama")},
                     {"decoder", {{"width", 16}, {"layers", 2}, {"heads", 2}, {"ffn_width", 32}, {"positions", 256}}}};
    json["data"]["text"] = {path("documents.jsonl")};
    return json;
  }

  Json with_encoder(Json json) const {
    json["start"]["encoder"] = {{"width", 16}, {"layers", 1}, {"heads", 2}, {"ffn_width", 32}};
    json["start"]["chunk_size"] = 4;
    return json;
  }

  Json with_questions(Json json) const {
    json["data"]["questions"] = {path("questions.jsonl")};
    json["data"]["documents"] = {path("documents.jsonl")};
    return json;
  }

 private:
  TemporaryDirectory directory_;
};

}  // namespace refrag::train

#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json_reader.h"
#include "train/text_data.h"

namespace refrag::train {

/// A SentencePiece tokenizer for models that are made here: byte fallback, single digits, text as it is, "\n" a piece
/// of its own, no space put in front; <unk> 0, <s> 1, </s> 2, <pad> 3.
struct TokenizerConfig {
  std::filesystem::path out;  // a directory, for start.tokenizer
  std::vector<std::filesystem::path> text;
  std::int64_t vocab_size = 0;
  bool unigram = false;                 // else BPE
  std::int64_t max_sentences = 300000;  // lines, drawn at random from all
  std::uint64_t seed = 1;
  std::int64_t threads = 1;
};

TokenizerConfig read_tokenizer_config(const std::filesystem::path& file, const std::vector<std::string>& overrides);

/// Runs SentencePiece's trainer in the program refrag-spm-train beside this one: its protobuf and libtorch's do not go
/// together in one process. Writes tokenizer.model and tokenizer_config.json. Throws kInternal with what the trainer
/// says.
void train_tokenizer(const TokenizerConfig& config, const OnPrepared& on_prepared);

}  // namespace refrag::train

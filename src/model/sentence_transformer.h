#pragma once
#include <cstddef>
#include <filesystem>

#include "model/encoder_config.h"

namespace refrag {

/// What the files of the sentence-transformers library say beside the encoder itself.
struct SentenceTransformer {
  std::filesystem::path encoder;  // directory of config.json, weights and tokenizer
  Pooling pooling = Pooling::kMean;
  std::size_t max_tokens = 0;  // 0: not said
};

/// Reads modules.json and what it names; without it, `directory` is a plain encoder with mean pooling, as that library
/// has it. Throws kUnsupported naming the module, pooling or option that is not known, kCorrupt for broken files.
SentenceTransformer read_sentence_transformer(const std::filesystem::path& directory);

}  // namespace refrag

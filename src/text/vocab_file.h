#pragma once
#include <filesystem>
#include <memory>

#include "text/tokenizer.h"

namespace refrag {

/// BERT's tokenizer from vocab.txt (a token a line) and tokenizer_config.json: WordPiece between "[CLS]" and "[SEP]".
/// Throws kCorrupt where one of its special tokens is missing.
std::shared_ptr<const Tokenizer> load_vocab_file(const std::filesystem::path& directory);

}  // namespace refrag

#pragma once
#include <filesystem>
#include <memory>

#include "text/tokenizer.h"

namespace refrag {

/// The tokenizer of tokenizer.model (SentencePiece) with what tokenizer_config.json adds: BOS and EOS, added
/// tokens, XLM-R's ids. Throws kCorrupt for a broken file, kUnsupported with the name of a tokenizer class that uses
/// SentencePiece in a way that is not known.
std::shared_ptr<const Tokenizer> load_sentencepiece(const std::filesystem::path& directory);

}  // namespace refrag

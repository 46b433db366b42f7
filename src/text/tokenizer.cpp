#include "text/tokenizer.h"

#include <utility>

#include "base/message.h"
#include "refrag/error.h"
#include "text/json_tokenizer.h"
#include "text/sentencepiece_tokenizer.h"
#include "text/vocab_file.h"

namespace refrag {

std::shared_ptr<const Tokenizer> Tokenizer::load(const std::filesystem::path& directory) {
  if (std::filesystem::exists(directory / "tokenizer.model")) {
    return load_sentencepiece(directory);
  }
  if (std::filesystem::exists(directory / "tokenizer.json")) {
    return load_json_tokenizer(directory);
  }
  if (std::filesystem::exists(directory / "vocab.txt")) {
    return load_vocab_file(directory);
  }
  throw Error(ErrorCode::kNotFound,
              message(directory.string(), " has no tokenizer: expected tokenizer.model, tokenizer.json or vocab.txt"));
}

Encoding Tokenizer::encode_with_ranges(std::string_view text, SpecialTokens special) const {
  return encode_pieces({{std::string(text), special}});
}

std::vector<TokenId> Tokenizer::encode(std::string_view text, SpecialTokens special) const {
  return encode_with_ranges(text, special).ids;
}

const Detokenizer& Tokenizer::detokenizer() const {
  static const Detokenizer kPlain;
  return kPlain;
}

IncrementalDecoder::IncrementalDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool at_start)
    : tokenizer_(std::move(tokenizer)), stream_(tokenizer_->detokenizer(), at_start) {}

std::string IncrementalDecoder::add(TokenId id) {
  return stream_.add(tokenizer_->detokenizer(), tokenizer_->text_of(id));
}

std::string IncrementalDecoder::finish() { return stream_.finish(tokenizer_->detokenizer()); }

}  // namespace refrag

#include "text/word_model.h"

#include <string>

namespace refrag {

ByteTokens::ByteTokens(const Vocabulary& vocabulary) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (std::size_t byte = 0; byte < ids_.size(); ++byte) {
    const std::string token = {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 0xF], '>'};
    ids_[byte] = vocabulary.id_of(token).value_or(kMissing);
  }
}

std::vector<WordToken> ByteTokens::spell(std::string_view word, std::uint32_t begin, std::uint32_t end) const {
  std::vector<WordToken> tokens;
  for (std::uint32_t at = begin; at < end; ++at) {
    const TokenId id = ids_[static_cast<std::uint8_t>(word[at])];
    if (id == kMissing) {
      return {};
    }
    tokens.push_back({id, at, at + 1});
  }
  return tokens;
}

}  // namespace refrag

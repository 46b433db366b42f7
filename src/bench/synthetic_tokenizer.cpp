#include "bench/synthetic_tokenizer.h"

#include <algorithm>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag::bench {
namespace {

constexpr std::size_t kLetters = 26;
constexpr std::size_t kWordBytes = 5;  // the space before it included
constexpr std::size_t kMostWords = kLetters * kLetters * kLetters * kLetters;
constexpr std::size_t kLeastWords = 256;

std::size_t words_in(std::size_t vocab_size) {
  constexpr std::size_t kOthers = SyntheticTokenizer::kFirstWord;
  if (vocab_size < kOthers + kLeastWords) {
    throw Error(ErrorCode::kInvalidArgument,
                message("vocab_size is ", vocab_size, "; expected ", kOthers + kLeastWords, " or more"), "--shape");
  }
  return std::min(vocab_size - kOthers, kMostWords);
}

}  // namespace

SyntheticTokenizer::SyntheticTokenizer(std::size_t vocab_size)
    : words_(words_in(vocab_size)), identity_(message("synthetic, ", words_, " words")) {}

std::optional<TokenId> SyntheticTokenizer::word_at(std::string_view text, std::size_t begin) const {
  if (text.size() - begin < kWordBytes || text[begin] != ' ') return std::nullopt;
  std::size_t number = 0;
  for (const char letter : text.substr(begin + 1, kWordBytes - 1)) {
    if (letter < 'a' || letter > 'z') return std::nullopt;
    number = number * kLetters + static_cast<std::size_t>(letter - 'a');
  }
  if (number >= words_) return std::nullopt;
  return word(number);
}

Encoding SyntheticTokenizer::encode_pieces(const std::vector<TextPiece>& pieces) const {
  std::string text;
  for (const TextPiece& piece : pieces) text += piece.text;
  Encoding encoding;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::optional<TokenId> word = word_at(text, begin);
    const std::size_t end = begin + (word ? kWordBytes : 1);
    encoding.ids.push_back(word.value_or(kFirstByte + static_cast<unsigned char>(text[begin])));
    encoding.ranges.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
    begin = end;
  }
  return encoding;
}

std::vector<TokenId> SyntheticTokenizer::encode_for_model(std::string_view text, SpecialTokens special) const {
  std::vector<TokenId> ids = encode_pieces({{std::string(text), special}}).ids;
  ids.insert(ids.begin(), kBos);
  return ids;
}

Tokenizer::Pair SyntheticTokenizer::encode_pair(std::string_view first, std::string_view second) const {
  Pair pair{encode_for_model(first, SpecialTokens::kAsText), {}};
  const std::vector<TokenId> more = encode_for_model(second, SpecialTokens::kAsText);
  pair.type_ids.assign(pair.ids.size(), 0);
  pair.ids.insert(pair.ids.end(), more.begin(), more.end());
  pair.type_ids.resize(pair.ids.size(), 1);
  return pair;
}

std::string SyntheticTokenizer::decode(const std::vector<TokenId>& ids, bool /*skip_special*/) const {
  std::string text;
  for (const TokenId id : ids) text += bytes_of(id);
  return text;
}

std::string SyntheticTokenizer::bytes_of(TokenId id) const {
  if (id < kFirstByte || static_cast<std::size_t>(id) >= vocab_size()) return {};
  if (id < kFirstWord) return {static_cast<char>(id - kFirstByte)};
  auto number = static_cast<std::size_t>(id - kFirstWord);
  std::string text(kWordBytes, ' ');
  for (std::size_t place = kWordBytes - 1; place > 0; --place) {
    text[place] = static_cast<char>('a' + number % kLetters);
    number /= kLetters;
  }
  return text;
}

std::optional<TokenId> SyntheticTokenizer::id_of(std::string_view token) const {
  const Encoding encoding = encode_pieces({{std::string(token), SpecialTokens::kAsText}});
  if (encoding.ids.size() != 1) return std::nullopt;
  return encoding.ids.front();
}

}  // namespace refrag::bench

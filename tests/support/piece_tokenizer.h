#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace refrag::testing {

/// A tokenizer that a test can count by hand: a word with the space before it is one token for every `piece_bytes`
/// bytes, a line break and each further space are tokens of their own, and a character beyond ASCII is two tokens, of
/// which the second stands for no bytes (as byte fallback gives them). Ids are handed out by content, so equal texts
/// have equal ids.
class PieceTokenizer : public Tokenizer {
 public:
  explicit PieceTokenizer(std::size_t piece_bytes = 8) : piece_bytes_(piece_bytes) {}

  Encoding encode_pieces(const std::vector<TextPiece>& pieces) const override {
    std::string text;
    for (const TextPiece& piece : pieces) {
      text += piece.text;
    }
    Encoding encoding;
    for (std::size_t at = 0; at < text.size();) {
      at = add_token(text, at, encoding);
    }
    return encoding;
  }
  std::vector<TokenId> encode_for_model(std::string_view text, SpecialTokens special) const override {
    return encode_pieces({{std::string(text), special}}).ids;
  }
  Pair encode_pair(std::string_view, std::string_view) const override { return {}; }
  std::string decode(const std::vector<TokenId>&, bool) const override { return {}; }
  std::string bytes_of(TokenId) const override { return {}; }
  bool strips_leading_space() const override { return false; }
  std::size_t vocab_size() const override { return kIds; }
  std::optional<TokenId> id_of(std::string_view) const override { return std::nullopt; }
  std::string token_of(TokenId) const override { return {}; }
  bool is_special(TokenId) const override { return false; }
  std::optional<TokenId> bos() const override { return std::nullopt; }
  std::optional<TokenId> eos() const override { return std::nullopt; }
  std::optional<TokenId> pad() const override { return std::nullopt; }
  const std::string& identity() const override { return identity_; }

 private:
  static constexpr std::size_t kIds = 1U << 20;

  static bool is_word_byte(char c) { return c != ' ' && c != '\n' && static_cast<unsigned char>(c) < 0x80; }

  std::size_t add_token(const std::string& text, std::size_t begin, Encoding& encoding) const {
    std::size_t end = begin + 1;
    const auto is_continuation = [&](std::size_t at) { return (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80; };
    const bool is_beyond_ascii = static_cast<unsigned char>(text[begin]) >= 0x80;
    if (is_beyond_ascii) {
      while (end < text.size() && is_continuation(end)) {
        ++end;
      }
    } else if (text[begin] != '\n') {
      while (end < text.size() && end - begin < piece_bytes_ && is_word_byte(text[end])) {
        ++end;
      }
    }
    add(text, begin, end, encoding);
    if (is_beyond_ascii) {
      add(text, end, end, encoding);
    }
    return end;
  }

  static void add(const std::string& text, std::size_t begin, std::size_t end, Encoding& encoding) {
    encoding.ids.push_back(static_cast<TokenId>(std::hash<std::string>()(text.substr(begin, end - begin)) % kIds));
    encoding.ranges.push_back({static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)});
  }

  std::size_t piece_bytes_;
  std::string identity_ = "piece-tokenizer";
};

}  // namespace refrag::testing

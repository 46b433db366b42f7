#pragma once
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace refrag::bench {

/// A tokenizer for models that have only a shape. Token kFirstWord + n is a space and four letters, n in base 26 from
/// "aaaa" on; any other byte is a token of its own. Five bytes a token are about what English text has.
class SyntheticTokenizer : public Tokenizer {
 public:
  static constexpr TokenId kBos = 1;
  static constexpr TokenId kEos = 2;
  static constexpr TokenId kFirstByte = 3;
  static constexpr TokenId kFirstWord = kFirstByte + 256;

  /// Throws kInvalidArgument for a vocabulary too small to hold words.
  explicit SyntheticTokenizer(std::size_t vocab_size);

  std::size_t words() const { return words_; }
  TokenId word(std::size_t number) const { return kFirstWord + static_cast<TokenId>(number % words_); }

  Encoding encode_pieces(const std::vector<TextPiece>& pieces) const override;
  std::vector<TokenId> encode_for_model(std::string_view text, SpecialTokens special) const override;
  Pair encode_pair(std::string_view first, std::string_view second) const override;
  std::string decode(const std::vector<TokenId>& ids, bool skip_special) const override;
  std::string bytes_of(TokenId id) const override;
  bool strips_leading_space() const override { return false; }
  std::size_t vocab_size() const override { return kFirstWord + words_; }
  std::optional<TokenId> id_of(std::string_view token) const override;
  std::string token_of(TokenId id) const override { return bytes_of(id); }
  bool is_special(TokenId id) const override { return id >= 0 && id < kFirstByte; }
  std::optional<TokenId> bos() const override { return kBos; }
  std::optional<TokenId> eos() const override { return kEos; }
  std::optional<TokenId> pad() const override { return std::nullopt; }
  const std::string& identity() const override { return identity_; }

 private:
  std::optional<TokenId> word_at(std::string_view text, std::size_t begin) const;

  std::size_t words_;
  std::string identity_;
};

}  // namespace refrag::bench

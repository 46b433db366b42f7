#pragma once
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/json_reader.h"
#include "base/token.h"
#include "text/vocabulary.h"

namespace refrag {

/// A token and the bytes of the word that it stands for.
struct WordToken {
  TokenId id = 0;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  bool operator==(const WordToken&) const = default;
};

/// Cuts one word into tokens: the "model" of a tokenizer.json. Immutable, thread-safe.
class WordModel {
 public:
  virtual ~WordModel() = default;
  /// Adds the tokens of `word`, valid UTF-8 and not empty, to `out`.
  virtual void tokenize(std::string_view word, std::vector<WordToken>& out) const = 0;
};

/// The tokens "<0x00>" to "<0xFF>" that stand for the bytes of characters which a vocabulary does not have.
class ByteTokens {
 public:
  explicit ByteTokens(const Vocabulary& vocabulary);
  /// One token a byte of `word` [begin, end), or empty where the vocabulary lacks one of them.
  std::vector<WordToken> spell(std::string_view word, std::uint32_t begin, std::uint32_t end) const;

 private:
  static constexpr TokenId kMissing = -1;
  std::array<TokenId, 256> ids_{};
};

}  // namespace refrag

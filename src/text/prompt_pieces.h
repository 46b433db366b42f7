#pragma once
#include <string>
#include <vector>

#include "text/regex.h"
#include "text/tokenizer.h"

namespace refrag {

/// Pieces joined into one valid UTF-8 text that still knows where special tokens may be.
class JoinedPieces {
 public:
  /// Throws kInvalidArgument for 2 GiB of text or more.
  explicit JoinedPieces(const std::vector<TextPiece>& pieces);

  const std::string& text() const { return text_; }
  /// Whether all of [begin, end) is in pieces that may hold special tokens, with no other piece between.
  bool allows_special(std::size_t begin, std::size_t end) const;

 private:
  std::string text_;
  std::vector<Span> special_;  // in order, not touching each other
};

/// Ranges as Encoding promises them, from the bytes of `text` that each token came from.
std::vector<ByteRange> tidy_ranges(const std::string& text, std::vector<ByteRange> ranges);

}  // namespace refrag

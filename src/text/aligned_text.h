#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_range.h"

namespace refrag {

/// Text that was changed on its way to the model, with the place in the original that each of its bytes came from.
/// Origins never decrease.
class AlignedText {
 public:
  AlignedText() = default;
  /// Unchanged so far: byte i of `text` is byte `first` + i of the original.
  AlignedText(std::string text, std::uint32_t first) : text_(std::move(text)), first_(first) {}

  const std::string& text() const { return text_; }
  bool empty() const { return text_.empty(); }
  std::uint32_t first() const { return first_; }  // where what it was made from began in the original
  /// Where bytes [begin, end) came from; an empty range at its place for an empty one.
  ByteRange origin(std::size_t begin, std::size_t end) const;
  AlignedText slice(std::size_t begin, std::size_t end) const;

 private:
  friend class AlignedTextBuilder;
  std::string text_;
  std::vector<ByteRange> origins_;  // one a byte of text_; none while the text is unchanged
  std::uint32_t first_ = 0;
};

/// Writes an AlignedText anew from another, left to right.
class AlignedTextBuilder {
 public:
  explicit AlignedTextBuilder(const AlignedText& from) : from_(from) { text_.reserve(from.text().size()); }
  void keep(std::size_t begin, std::size_t end);  // these bytes as they are
  /// `text` stands for bytes [begin, end) of what it is made from.
  void put(std::string_view text, std::size_t begin, std::size_t end);
  std::size_t size() const { return text_.size(); }
  AlignedText finish();

 private:
  const AlignedText& from_;
  std::string text_;
  std::vector<ByteRange> origins_;
};

}  // namespace refrag

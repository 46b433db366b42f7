#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace refrag {

bool is_valid_utf8(std::string_view text);
/// Each maximal invalid part becomes U+FFFD (as Python's errors="replace" and the WHATWG decoder do).
std::string to_valid_utf8(std::string_view bytes);
std::size_t count_code_points(std::string_view text);
/// The byte where code point n begins, for valid UTF-8; text.size() for n at or past the end.
std::size_t byte_of_code_point(std::string_view text, std::size_t n);
/// Bytes at the end of `text` that begin a character but do not finish it, 0 to 3.
std::size_t incomplete_tail(std::string_view text);

/// Byte offsets to code points, each in constant time after one pass. Offsets inside a character count as its start.
class CodePointIndex {
 public:
  explicit CodePointIndex(std::string_view text);
  std::size_t at_byte(std::size_t byte) const;

 private:
  std::vector<std::uint32_t> code_point_of_byte_;
};

}  // namespace refrag

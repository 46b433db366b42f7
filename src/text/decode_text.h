#pragma once
#include <string>
#include <string_view>

namespace refrag {

/// Bytes of a text file to UTF-8 without a byte order mark. UTF-16 and UTF-32 are known by their mark; all else counts
/// as UTF-8. Invalid parts become U+FFFD.
std::string decode_text(std::string_view bytes);

/// True where the bytes begin with the mark of UTF-16 or UTF-32, which decode_text turns into UTF-8.
bool has_wide_byte_order_mark(std::string_view bytes);

}  // namespace refrag

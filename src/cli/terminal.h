#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace refrag::cli {

/// How much of the terminal's looks may be used. Plain where output is piped, or NO_COLOR is set.
struct Terminal {
  bool colors = false;
  std::size_t width = 80;

  static Terminal of_stdout();
  std::string dim(std::string_view text) const;
  std::string bright(std::string_view text) const;
  std::string accent(std::string_view text) const;
};

/// Text from outside as a terminal may show it: control characters (escape sequences with them) become "?", what is not
/// UTF-8 becomes U+FFFD; line breaks and tabs stay.
std::string printable(std::string_view bytes);

}  // namespace refrag::cli

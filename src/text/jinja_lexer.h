#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace refrag::jinja {

struct Token {
  enum class Kind { kName, kString, kWhole, kNumber, kOperator, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;
};

/// The tokens inside a tag that begins at `line`, kEnd last.
std::vector<Token> tokens_of(std::string_view tag, std::size_t line);

}  // namespace refrag::jinja

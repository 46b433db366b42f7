#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace refrag::jinja {

/// A stretch of the source: plain text, {{ expression }} or {% statement %}.
struct Piece {
  enum class Kind { kText, kOutput, kStatement };
  Kind kind = Kind::kText;
  std::string text;
  std::size_t line = 1;
};

/// Cuts a template at its tags and applies white-space control, with trim_blocks and lstrip_blocks. Comments go.
std::vector<Piece> cut_template(std::string_view source);

inline bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }

/// Throws kCorrupt, naming the line.
[[noreturn]] void fail_at(std::size_t line, const std::string& what);

}  // namespace refrag::jinja

#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace refrag {

/// Bytes [begin, end) of some text.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool operator==(const Span&) const = default;
};

/// A regular expression of a tokenizer (PCRE2 with Unicode classes, compiled to machine code). Immutable, thread-safe.
class Regex {
 public:
  /// `pattern` in Oniguruma's syntax. Throws kCorrupt for a broken pattern, kUnsupported for what PCRE2 cannot say.
  explicit Regex(std::string_view pattern);
  static Regex of_text(std::string_view text);  // matches `text` alone

  /// All matches in valid UTF-8, left to right, none overlapping. Throws kInvalidArgument when a pattern needs too many
  /// steps on this text.
  std::vector<Span> find_all(std::string_view text) const;

 private:
  struct Code;
  Regex() = default;
  static Regex compile(const std::string& translated, std::string_view shown);
  std::shared_ptr<const Code> code_;
  std::string shown_;  // the pattern, for messages
};

}  // namespace refrag

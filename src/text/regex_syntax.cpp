#include "text/regex_syntax.h"

#include <unicode/uchar.h>

#include <cstddef>
#include <cstdint>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

// Oniguruma counts the Latin-1 superscripts and fractions as word characters too.
constexpr std::string_view kWordClass = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";
constexpr int kMaxDepth = 64;

/// The name of a property in \\p{...} as PCRE2 has it: "Letter" is "L", "Han" is the script alone and not its
/// extensions.
std::string translate_property(const std::string& name) {
  const std::int32_t category = u_getPropertyValueEnum(UCHAR_GENERAL_CATEGORY_MASK, name.c_str());
  if (category != UCHAR_INVALID_CODE) {
    return u_getPropertyValueName(UCHAR_GENERAL_CATEGORY_MASK, category, U_SHORT_PROPERTY_NAME);
  }
  return u_getPropertyValueEnum(UCHAR_SCRIPT, name.c_str()) != UCHAR_INVALID_CODE ? "sc:" + name : name;
}

class Translator {
 public:
  explicit Translator(std::string_view pattern) : pattern_(pattern) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      if (starts_with("\\Q") || starts_with("(?m") || starts_with("(*")) {
        refuse(pattern_.substr(at_, 3));
      }
      if (pattern_[at_] == '\\') {
        translate_escape();
      } else if (pattern_[at_] == '[') {
        ++at_;
        translate_class(0);
      } else {
        out_ += pattern_[at_++];
      }
    }
    return std::move(out_);
  }

 private:
  bool starts_with(std::string_view text) const { return pattern_.substr(at_).starts_with(text); }

  [[noreturn]] void refuse(std::string_view part) const {
    throw Error(ErrorCode::kUnsupported, message("the pattern ", pattern_, " uses ", part, ", which is not supported"));
  }

  // The character after a backslash, or 0 at the end; `length` is what it takes in the pattern.
  char escaped() const { return at_ + 1 < pattern_.size() ? pattern_[at_ + 1] : '\0'; }

  void copy(std::size_t length) {
    out_ += pattern_.substr(at_, length);
    at_ += length;
  }

  // What \s, \p and \uHHHH become is the same inside and outside a class.
  bool translate_common_escape() {
    switch (escaped()) {
      case 's':
        out_ += "\\p{White_Space}";
        break;
      case 'S':
        out_ += "\\P{White_Space}";
        break;
      case 'u':
        if (pattern_.size() - at_ < 6) {
          refuse("an unfinished \\u");
        }
        out_ += message("\\x{", pattern_.substr(at_ + 2, 4), "}");
        at_ += 4;
        break;
      case 'p':
      case 'P':
        return translate_property_escape();
      default:
        return false;
    }
    at_ += 2;
    return true;
  }

  /// \\p{Name}, \\p{^Name}, \\P{Name}; \\pL is left to PCRE2.
  bool translate_property_escape() {
    const std::size_t end = pattern_.find('}', at_);
    if (at_ + 2 >= pattern_.size() || pattern_[at_ + 2] != '{' || end == std::string_view::npos) {
      return false;
    }
    std::string name(pattern_.substr(at_ + 3, end - at_ - 3));
    const std::string negation = name.starts_with('^') ? "^" : "";
    name.erase(0, negation.size());
    out_ += message("\\", escaped(), "{", negation, translate_property(name), "}");
    at_ = end + 1;
    return true;
  }

  void translate_escape() {
    if (translate_common_escape()) {
      return;
    }
    const std::string word = message("[", kWordClass, "]");
    switch (escaped()) {
      case 'w':
        out_ += word;
        break;
      case 'W':
        out_ += message("[^", kWordClass, "]");
        break;
      case 'b':
        out_ += message("(?:(?<=", word, ")(?!", word, ")|(?<!", word, ")(?=", word, "))");
        break;
      case 'B':
        out_ += message("(?:(?<=", word, ")(?=", word, ")|(?<!", word, ")(?!", word, "))");
        break;
      case 'h':
        out_ += "[0-9a-fA-F]";
        break;
      case 'H':
        out_ += "[^0-9a-fA-F]";
        break;
      case 'K':
      case 'y':
      case 'Y':
      case 'O':
      case 'N':
        refuse(pattern_.substr(at_, 2));
      default:
        copy(2);
        return;
    }
    at_ += 2;
  }

  // After an opening bracket. An inner class that is not negated is a union: its members are written into the outer
  // one.
  void translate_class(int depth) {
    if (depth == kMaxDepth) {
      refuse("character classes nested too deep");
    }
    const bool is_negated = starts_with("^");
    if (is_negated && depth > 0) {
      refuse("a negated character class inside another");
    }
    if (depth == 0) {
      out_ += is_negated ? "[^" : "[";
    }
    at_ += is_negated ? 1 : 0;
    if (starts_with("]")) {
      out_ += "\\]";  // the first member may be a bare bracket
      ++at_;
    }
    while (at_ < pattern_.size() && pattern_[at_] != ']') {
      if (starts_with("&&")) {
        refuse("&&");
      }
      if (starts_with("[:")) {
        const std::size_t end = pattern_.find(":]", at_);
        if (end == std::string_view::npos) {
          refuse("an unfinished [:");
        }
        copy(end + 2 - at_);
      } else if (pattern_[at_] == '[') {
        ++at_;
        translate_class(depth + 1);
      } else if (pattern_[at_] == '\\') {
        translate_escape_in_class();
      } else {
        out_ += pattern_[at_++];
      }
    }
    if (at_ == pattern_.size()) {
      refuse("an unfinished character class");
    }
    ++at_;
    if (depth == 0) {
      out_ += ']';
    }
  }

  void translate_escape_in_class() {
    if (translate_common_escape()) {
      return;
    }
    switch (escaped()) {
      case 'w':
        out_ += kWordClass;
        break;
      case 'h':
        out_ += "0-9a-fA-F";
        break;
      case 'W':
      case 'H':
      case 'R':
      case 'X':
        refuse(message(pattern_.substr(at_, 2), " in a character class"));
      default:
        copy(2);
        return;
    }
    at_ += 2;
  }

  std::string_view pattern_;
  std::size_t at_ = 0;
  std::string out_;
};

}  // namespace

std::string translate_oniguruma(std::string_view pattern) { return Translator(pattern).run(); }

std::string escape_pattern(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
    if (!is_plain) {
      out += '\\';
    }
    out += c;
  }
  return out;
}

}  // namespace refrag

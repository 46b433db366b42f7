#include "text/jinja_lexer.h"

#include <charconv>
#include <utility>

#include "base/message.h"
#include "text/jinja_budget.h"
#include "text/jinja_pieces.h"

namespace refrag::jinja {
namespace {

constexpr std::size_t kMaxTagTokens = 2000;  // a chain of operators is walked as deep as it is long

bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  Lexer(std::string_view text, std::size_t line) : text_(text), line_(line) {}

  std::vector<Token> tokens() {
    std::vector<Token> found;
    while (true) {
      while (at_ < text_.size() && is_blank(text_[at_])) {
        ++at_;
      }
      if (at_ >= text_.size()) {
        found.push_back({});
        return found;
      }
      if (found.size() == kMaxTagTokens) {
        fail_at(line_, message("a tag has more than ", kMaxTagTokens, " tokens"));
      }
      found.push_back(next());
    }
  }

 private:
  Token next() {
    const char c = text_[at_];
    if (is_name_start(c)) {
      return name();
    }
    if (is_digit(c)) {
      return number();
    }
    if (c == '\'' || c == '"') {
      return string(c);
    }
    for (const std::string_view two : {"==", "!=", "<=", ">=", "//", "**"}) {
      if (text_.substr(at_, 2) == two) {
        at_ += 2;
        return {Token::Kind::kOperator, std::string(two)};
      }
    }
    if (std::string_view("+-*/%~<>=()[]{}.,:|").find(c) == std::string_view::npos) {
      fail_at(line_, message("character '", std::string(1, c), "' is not expected here"));
    }
    ++at_;
    return {Token::Kind::kOperator, std::string(1, c)};
  }

  template <typename Test>
  std::string take_while(Test test) {
    const std::size_t begin = at_;
    while (at_ < text_.size() && test(text_[at_])) {
      ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  Token name() {
    std::string text = take_while([](char x) { return is_name_start(x) || is_digit(x); });
    if (text.size() > kMaxNameBytes) {
      fail_at(line_, message("a name has ", text.size(), " bytes; expected at most ", kMaxNameBytes));
    }
    return {Token::Kind::kName, std::move(text)};
  }

  Token number() {
    std::string digits = take_while(is_digit);
    if (at_ + 1 < text_.size() && text_[at_] == '.' && is_digit(text_[at_ + 1])) {
      ++at_;
      return {Token::Kind::kNumber, digits + "." + take_while(is_digit)};
    }
    return {Token::Kind::kWhole, std::move(digits)};
  }

  Token string(char quote) {
    std::string value;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] != '\\' || at_ + 1 >= text_.size()) {
        value += text_[at_];
        continue;
      }
      ++at_;
      switch (text_[at_]) {
        case 'n':
          value += '\n';
          break;
        case 't':
          value += '\t';
          break;
        case 'r':
          value += '\r';
          break;
        case '\\':
        case '\'':
        case '"':
          value += text_[at_];
          break;
        case '\n':
          break;
        case 'u':
          append_code_point(value);
          break;
        default:
          value += '\\';
          value += text_[at_];
          break;
      }
    }
    if (at_ >= text_.size()) {
      fail_at(line_, "a string is not closed");
    }
    ++at_;
    return {Token::Kind::kString, std::move(value)};
  }

  void append_code_point(std::string& value) {
    unsigned code = 0;
    const std::string_view digits = text_.substr(at_ + 1, 4);
    const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (fault != std::errc() || digits.size() != 4 || end != digits.data() + 4 || (code >= 0xD800 && code < 0xE000)) {
      fail_at(line_, "\\u in a string wants four hexadecimal digits of a character");
    }
    at_ += 4;
    if (code < 0x80) {
      value += static_cast<char>(code);
    } else if (code < 0x800) {
      value += static_cast<char>(0xC0 | (code >> 6));
      value += static_cast<char>(0x80 | (code & 0x3F));
    } else {
      value += static_cast<char>(0xE0 | (code >> 12));
      value += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      value += static_cast<char>(0x80 | (code & 0x3F));
    }
  }

  std::string_view text_;
  std::size_t line_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<Token> tokens_of(std::string_view tag, std::size_t line) { return Lexer(tag, line).tokens(); }

}  // namespace refrag::jinja

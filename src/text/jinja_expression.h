#pragma once
#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja_lexer.h"
#include "text/jinja_syntax.h"

namespace refrag::jinja {

constexpr int kMaxDepth = 100;  // of nested expressions and statements: real templates stay below 20

/// One tag's tokens to expressions. The precedence is Jinja's own: filters and tests bind tighter than arithmetic.
class ExpressionParser {
 public:
  ExpressionParser(std::string_view text, std::size_t line) : line_(line), tokens_(tokens_of(text, line)) {}

  const Token& peek(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
  bool at_end() const { return peek().kind == Token::Kind::kEnd; }
  std::size_t line() const { return line_; }
  Token take();
  bool is(Token::Kind kind, std::string_view text) const { return peek().kind == kind && peek().text == text; }
  bool is_operator(std::string_view text) const { return is(Token::Kind::kOperator, text); }
  bool is_word(std::string_view text) const { return is(Token::Kind::kName, text); }
  bool accept_operator(std::string_view text) { return is_operator(text) ? (take(), true) : false; }
  bool accept_word(std::string_view text) { return is_word(text) ? (take(), true) : false; }
  void expect_operator(std::string_view text);
  std::string expect_name();
  void expect_end() const;

  /// expression, or a tuple without parentheses.
  ExpressionPtr tuple();
  ExpressionPtr expression();
  /// For `for x in ... if ...`: an expression that does not take the `if`.
  ExpressionPtr disjunction();

 private:
  class Depth;

  ExpressionPtr conjunction();
  ExpressionPtr negation();
  std::optional<std::string> accept_comparison();
  ExpressionPtr comparison();
  ExpressionPtr binary(std::initializer_list<std::string_view> symbols, ExpressionPtr (ExpressionParser::*operand)());
  ExpressionPtr sum() { return binary({"+", "-"}, &ExpressionParser::concatenation); }
  ExpressionPtr concatenation() { return binary({"~"}, &ExpressionParser::product); }
  ExpressionPtr product() { return binary({"*", "//", "/", "%"}, &ExpressionParser::power); }
  ExpressionPtr power() { return binary({"**"}, &ExpressionParser::filtered_unary); }
  ExpressionPtr filtered_unary() { return unary(/*with_filters=*/true); }

  ExpressionPtr unary(bool with_filters);
  ExpressionPtr primary();
  static ExpressionPtr name(const std::string& text);
  ExpressionPtr parenthesis();
  ExpressionPtr list_until(std::string_view close);
  ExpressionPtr dict();
  ExpressionPtr postfix(ExpressionPtr value);
  ExpressionPtr subscript(ExpressionPtr value);
  Arguments arguments();
  ExpressionPtr filters_and_tests(ExpressionPtr value);
  ExpressionPtr test(ExpressionPtr value);
  bool begins_argument() const;

  std::size_t line_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace refrag::jinja

#include "text/jinja_expression.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <memory>
#include <utility>

#include "base/message.h"
#include "text/jinja_pieces.h"

namespace refrag::jinja {
namespace {

ExpressionPtr make(Expression expression) { return std::make_shared<const Expression>(std::move(expression)); }
ExpressionPtr literal(Value value) { return make({.kind = Expression::Kind::kLiteral, .value = std::move(value)}); }

}  // namespace

class ExpressionParser::Depth {
 public:
  explicit Depth(ExpressionParser& parser) : parser_(parser) {
    if (++parser_.depth_ > kMaxDepth) {
      fail_at(parser_.line_, "expressions are nested too deeply");
    }
  }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;
  ~Depth() { --parser_.depth_; }

 private:
  ExpressionParser& parser_;
};

Token ExpressionParser::take() {
  Token token = peek();
  at_ = std::min(at_ + 1, tokens_.size() - 1);
  return token;
}

void ExpressionParser::expect_operator(std::string_view text) {
  if (!accept_operator(text)) {
    fail_at(line_, message("found '", peek().text, "'; expected '", text, "'"));
  }
}

std::string ExpressionParser::expect_name() {
  if (peek().kind != Token::Kind::kName) {
    fail_at(line_, message("found '", peek().text, "'; expected a name"));
  }
  return take().text;
}

void ExpressionParser::expect_end() const {
  if (!at_end()) {
    fail_at(line_, message("found '", peek().text, "'; expected the end of the tag"));
  }
}

ExpressionPtr ExpressionParser::tuple() {
  ExpressionPtr first = expression();
  if (!is_operator(",")) {
    return first;
  }
  Expression list{.kind = Expression::Kind::kList, .children = {first}};
  while (accept_operator(",") && !at_end()) {
    list.children.push_back(expression());
  }
  return make(std::move(list));
}

ExpressionPtr ExpressionParser::expression() {
  const Depth depth(*this);
  ExpressionPtr value = disjunction();
  while (accept_word("if")) {
    ExpressionPtr condition = disjunction();
    ExpressionPtr otherwise = accept_word("else") ? expression() : nullptr;
    value = make({.kind = Expression::Kind::kConditional, .children = {value, condition, otherwise}});
  }
  return value;
}

ExpressionPtr ExpressionParser::disjunction() {
  ExpressionPtr left = conjunction();
  while (accept_word("or")) {
    left = make({.kind = Expression::Kind::kOr, .children = {left, conjunction()}});
  }
  return left;
}

ExpressionPtr ExpressionParser::conjunction() {
  ExpressionPtr left = negation();
  while (accept_word("and")) {
    left = make({.kind = Expression::Kind::kAnd, .children = {left, negation()}});
  }
  return left;
}

ExpressionPtr ExpressionParser::negation() {
  const Depth depth(*this);
  if (accept_word("not")) {
    return make({.kind = Expression::Kind::kNot, .children = {negation()}});
  }
  return comparison();
}

std::optional<std::string> ExpressionParser::accept_comparison() {
  for (const std::string_view symbol : {"==", "!=", "<=", ">=", "<", ">"}) {
    if (accept_operator(symbol)) {
      return std::string(symbol);
    }
  }
  if (accept_word("in")) {
    return "in";
  }
  if (is_word("not") && peek(1).kind == Token::Kind::kName && peek(1).text == "in") {
    take();
    take();
    return "not in";
  }
  return std::nullopt;
}

ExpressionPtr ExpressionParser::comparison() {
  Expression compare{.kind = Expression::Kind::kCompare, .children = {sum()}};
  while (std::optional<std::string> symbol = accept_comparison()) {
    compare.operators.push_back(*symbol);
    compare.children.push_back(sum());
  }
  return compare.operators.empty() ? compare.children.front() : make(std::move(compare));
}

ExpressionPtr ExpressionParser::binary(std::initializer_list<std::string_view> symbols,
                                       ExpressionPtr (ExpressionParser::*operand)()) {
  ExpressionPtr left = (this->*operand)();
  while (true) {
    const auto* symbol =
        std::find_if(symbols.begin(), symbols.end(), [&](std::string_view s) { return is_operator(s); });
    if (symbol == symbols.end()) {
      return left;
    }
    take();
    left =
        make({.kind = Expression::Kind::kBinary, .name = std::string(*symbol), .children = {left, (this->*operand)()}});
  }
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
  const Depth depth(*this);
  ExpressionPtr value;
  if (accept_operator("-")) {
    value = make({.kind = Expression::Kind::kNegative, .children = {unary(false)}});
  } else if (accept_operator("+")) {
    value = unary(false);
  } else {
    value = primary();
  }
  value = postfix(std::move(value));
  return with_filters ? filters_and_tests(std::move(value)) : value;
}

ExpressionPtr ExpressionParser::primary() {
  const Token token = take();
  switch (token.kind) {
    case Token::Kind::kName:
      return name(token.text);
    case Token::Kind::kString: {
      std::string text = token.text;
      while (peek().kind == Token::Kind::kString) {
        text += take().text;
      }
      return literal(Text::ours(text));
    }
    case Token::Kind::kWhole: {
      std::int64_t whole = 0;
      const auto [end, fault] = std::from_chars(token.text.data(), token.text.data() + token.text.size(), whole);
      if (fault != std::errc()) {
        fail_at(line_, message("the number ", token.text, " is too large"));
      }
      return literal(whole);
    }
    case Token::Kind::kNumber:
      return literal(std::stod(token.text));
    case Token::Kind::kOperator:
      if (token.text == "(") {
        return parenthesis();
      }
      if (token.text == "[") {
        return list_until("]");
      }
      if (token.text == "{") {
        return dict();
      }
      [[fallthrough]];
    case Token::Kind::kEnd:
      fail_at(line_, message("found '", token.text, "'; expected a value"));
  }
  return nullptr;
}

ExpressionPtr ExpressionParser::name(const std::string& text) {
  if (text == "true" || text == "True") {
    return literal(true);
  }
  if (text == "false" || text == "False") {
    return literal(false);
  }
  if (text == "none" || text == "None") {
    return literal(None{});
  }
  return make({.kind = Expression::Kind::kName, .name = text});
}

ExpressionPtr ExpressionParser::parenthesis() {
  if (accept_operator(")")) {
    return make({.kind = Expression::Kind::kList});
  }
  ExpressionPtr value = expression();
  if (!is_operator(",")) {
    expect_operator(")");
    return value;
  }
  Expression list{.kind = Expression::Kind::kList, .children = {value}};
  while (accept_operator(",") && !is_operator(")")) {
    list.children.push_back(expression());
  }
  expect_operator(")");
  return make(std::move(list));
}

ExpressionPtr ExpressionParser::list_until(std::string_view close) {
  Expression list{.kind = Expression::Kind::kList};
  while (!is_operator(close)) {
    list.children.push_back(expression());
    if (!accept_operator(",")) {
      break;
    }
  }
  expect_operator(close);
  return make(std::move(list));
}

ExpressionPtr ExpressionParser::dict() {
  Expression dict{.kind = Expression::Kind::kDict};
  while (!is_operator("}")) {
    dict.children.push_back(expression());
    expect_operator(":");
    dict.children.push_back(expression());
    if (!accept_operator(",")) {
      break;
    }
  }
  expect_operator("}");
  return make(std::move(dict));
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr value) {
  for (int links = 0;; ++links) {
    if (links > 10 * kMaxDepth) {
      fail_at(line_, "expressions are nested too deeply");
    }
    if (accept_operator(".")) {
      if (peek().kind == Token::Kind::kWhole) {
        value = make({.kind = Expression::Kind::kSubscript, .children = {value, primary()}});
      } else {
        value = make({.kind = Expression::Kind::kAttribute, .name = expect_name(), .children = {value}});
      }
    } else if (accept_operator("[")) {
      value = subscript(std::move(value));
    } else if (is_operator("(")) {
      value = make({.kind = Expression::Kind::kCall, .children = {value}, .arguments = arguments()});
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::subscript(ExpressionPtr value) {
  std::array<ExpressionPtr, 3> bounds;
  std::size_t colons = 0;
  for (; !is_operator("]") && colons < 3;) {
    if (accept_operator(":")) {
      ++colons;
    } else {
      bounds[std::min<std::size_t>(colons, 2)] = expression();
    }
  }
  expect_operator("]");
  if (colons == 0) {
    if (!bounds[0]) {
      fail_at(line_, "found ']'; expected an index");
    }
    return make({.kind = Expression::Kind::kSubscript, .children = {value, bounds[0]}});
  }
  return make({.kind = Expression::Kind::kSlice, .children = {value, bounds[0], bounds[1], bounds[2]}});
}

Arguments ExpressionParser::arguments() {
  Arguments found;
  expect_operator("(");
  while (!is_operator(")")) {
    if (peek().kind == Token::Kind::kName && peek(1).kind == Token::Kind::kOperator && peek(1).text == "=") {
      std::string name = take().text;
      take();
      found.named.emplace_back(std::move(name), expression());
    } else {
      found.positional.push_back(expression());
    }
    if (!accept_operator(",")) {
      break;
    }
  }
  expect_operator(")");
  return found;
}

ExpressionPtr ExpressionParser::filters_and_tests(ExpressionPtr value) {
  for (int links = 0;; ++links) {
    if (links > 10 * kMaxDepth) {
      fail_at(line_, "expressions are nested too deeply");
    }
    if (accept_operator("|")) {
      Expression filter{.kind = Expression::Kind::kFilter, .name = expect_name(), .children = {value}};
      if (is_operator("(")) {
        filter.arguments = arguments();
      }
      value = postfix(make(std::move(filter)));
    } else if (accept_word("is")) {
      value = test(std::move(value));
    } else {
      return value;
    }
  }
}

ExpressionPtr ExpressionParser::test(ExpressionPtr value) {
  const bool negated = accept_word("not");
  Expression test{.kind = Expression::Kind::kTest, .children = {value}};
  test.name = is_operator("==") || peek().kind == Token::Kind::kName ? take().text : expect_name();
  if (is_operator("(")) {
    test.arguments = arguments();
  } else if (begins_argument()) {
    test.arguments.positional.push_back(postfix(primary()));
  }
  ExpressionPtr made = make(std::move(test));
  if (!negated) {
    return made;
  }
  Expression opposite{.kind = Expression::Kind::kNot, .children = {made}};
  return make(std::move(opposite));
}

bool ExpressionParser::begins_argument() const {
  const Token& token = peek();
  if (token.kind == Token::Kind::kName) {
    return token.text != "else" && token.text != "or" && token.text != "and" && token.text != "if" &&
           token.text != "is" && token.text != "in" && token.text != "not";
  }
  return token.kind == Token::Kind::kString || token.kind == Token::Kind::kWhole ||
         token.kind == Token::Kind::kNumber || is_operator("[") || is_operator("{");
}

}  // namespace refrag::jinja

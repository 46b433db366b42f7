#include "text/jinja_eval.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "base/message.h"
#include "refrag/error.h"
#include "text/jinja_filters.h"

namespace refrag::jinja {
namespace {

enum class Flow { kNext, kBreak, kContinue };

class Evaluator {
 public:
  explicit Evaluator(const std::vector<std::pair<std::string, Value>>& variables) : scopes_(1) {
    for (const auto& [name, value] : variables) {
      scopes_.front()[name] = value;
    }
  }

  Flow run(const Block& block, Text& out) {
    for (const auto& statement : block) {
      const Flow flow = run(*statement, out);
      if (flow != Flow::kNext) {
        return flow;
      }
    }
    return Flow::kNext;
  }

 private:
  using Scope = std::map<std::string, Value>;

  /// A scope that ends with the block it was opened for.
  class ScopeGuard {
   public:
    explicit ScopeGuard(std::vector<Scope>& scopes) : scopes_(scopes) { scopes_.emplace_back(); }
    ScopeGuard(const ScopeGuard&) = delete;
    ScopeGuard& operator=(const ScopeGuard&) = delete;
    ~ScopeGuard() { scopes_.pop_back(); }

   private:
    std::vector<Scope>& scopes_;
  };

  /// A macro sees the template's variables, not its caller's: those come back when it ends.
  class MacroScopes {
   public:
    MacroScopes(std::vector<Scope>& scopes, Scope parameters) : scopes_(scopes), callers_(2) {
      callers_[0] = std::move(scopes_[0]);
      callers_[1] = std::move(parameters);
      scopes_.swap(callers_);
    }
    MacroScopes(const MacroScopes&) = delete;
    MacroScopes& operator=(const MacroScopes&) = delete;
    ~MacroScopes() {
      callers_[0] = std::move(scopes_[0]);
      scopes_.swap(callers_);
    }

   private:
    std::vector<Scope>& scopes_;
    std::vector<Scope> callers_;
  };

  /// One level of the recursion through statements, expressions and macros: the stack has an end.
  class DepthGuard {
   public:
    explicit DepthGuard(int& depth) : depth_(depth) {
      if (depth_ == kMaxRunDepth) {
        fail(message("statements, expressions and macros are nested more than ", kMaxRunDepth, " deep"));
      }
      ++depth_;
    }
    DepthGuard(const DepthGuard&) = delete;
    DepthGuard& operator=(const DepthGuard&) = delete;
    ~DepthGuard() { --depth_; }

   private:
    int& depth_;
  };

  Flow run(const Statement& statement, Text& out) {
    const DepthGuard depth(depth_);
    budget_.spend(1);
    switch (statement.kind) {
      case Statement::Kind::kText:
        budget_.spend_bytes(statement.text.size());
        out.add(statement.text, Text::kOurs);
        return Flow::kNext;
      case Statement::Kind::kOutput:
        output(evaluate(statement.expression), out);
        return Flow::kNext;
      case Statement::Kind::kIf:
        return run(truth(evaluate(statement.expression)) ? statement.body : statement.otherwise, out);
      case Statement::Kind::kFor:
        return loop(statement, out);
      case Statement::Kind::kSet:
        assign(statement.targets, evaluate(statement.expression));
        return Flow::kNext;
      case Statement::Kind::kSetBlock: {
        Text text;
        run(statement.body, text);
        assign(statement.targets, std::move(text));
        return Flow::kNext;
      }
      case Statement::Kind::kMacro:
        scopes_.back()[statement.macro->name] = Callable{statement.macro->name, nullptr, statement.macro};
        return Flow::kNext;
      case Statement::Kind::kBlock:
        return run(statement.body, out);
      case Statement::Kind::kBreak:
        return Flow::kBreak;
      case Statement::Kind::kContinue:
        return Flow::kContinue;
    }
    return Flow::kNext;
  }

  void output(const Value& value, Text& out) {
    const std::size_t before = out.bytes.size();
    add_text(out, value);
    budget_.spend_bytes(out.bytes.size() - before);
  }

  Flow loop(const Statement& statement, Text& out) {
    std::vector<Value> items = items_of(evaluate(statement.expression), budget_);
    const ScopeGuard scope(scopes_);
    if (statement.filter) {
      std::erase_if(items, [&](const Value& item) {
        assign(statement.targets, item);
        return !truth(evaluate(statement.filter));
      });
    }
    if (items.empty()) {
      return run(statement.otherwise, out);
    }
    for (std::size_t n = 0; n < items.size(); ++n) {
      scopes_.back().clear();  // what an iteration sets ends with it
      scopes_.back()["loop"] = loop_variable(items, n);
      assign(statement.targets, items[n]);
      if (run(statement.body, out) == Flow::kBreak) {
        break;
      }
    }
    return Flow::kNext;
  }

  static Value loop_variable(const std::vector<Value>& items, std::size_t n) {
    const auto at = static_cast<std::int64_t>(n);
    const auto size = static_cast<std::int64_t>(items.size());
    return Value::dict({{"index", at + 1},
                        {"index0", at},
                        {"revindex", size - at},
                        {"revindex0", size - at - 1},
                        {"first", at == 0},
                        {"last", at + 1 == size},
                        {"length", size},
                        {"previtem", n > 0 ? items[n - 1] : Value(Undefined{"previtem"})},
                        {"nextitem", n + 1 < items.size() ? items[n + 1] : Value(Undefined{"nextitem"})}});
  }

  void assign(const std::vector<std::string>& targets, const Value& value) {
    if (targets.size() == 3 && targets[1] == ".") {
      const Value holder = lookup(targets[0]);
      const auto* dict = holder.as<Dict>();
      if (dict == nullptr || !(*dict)->is_namespace) {
        fail(message("'", targets[0], "' is no namespace, so its '", targets[2], "' cannot be set"));
      }
      (*dict)->set(targets[2], value);
      return;
    }
    if (targets.size() == 1) {
      scopes_.back()[targets.front()] = value;
      return;
    }
    const std::vector<Value> parts = items_of(value, budget_);
    if (parts.size() != targets.size()) {
      fail(message("cannot take ", parts.size(), " values apart into ", targets.size(), " names"));
    }
    for (std::size_t n = 0; n < parts.size(); ++n) {
      scopes_.back()[targets[n]] = parts[n];
    }
  }

  Value lookup(const std::string& name) const {
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
      const auto found = scope->find(name);
      if (found != scope->end()) {
        return found->second;
      }
    }
    return is_known_function(name) ? Value(Callable{name, nullptr, nullptr}) : Value(Undefined{name});
  }

  Value evaluate(const ExpressionPtr& expression) {
    if (!expression) {
      return None{};
    }
    const DepthGuard depth(depth_);
    budget_.spend(1);
    const Expression& e = *expression;
    switch (e.kind) {
      case Expression::Kind::kLiteral:
        return e.value;
      case Expression::Kind::kName:
        return lookup(e.name);
      case Expression::Kind::kList: {
        std::vector<Value> items;
        for (const ExpressionPtr& child : e.children) {
          items.push_back(evaluate(child));
        }
        return Value::list(std::move(items));
      }
      case Expression::Kind::kDict: {
        std::vector<std::pair<std::string, Value>> items;
        for (std::size_t n = 0; n + 1 < e.children.size(); n += 2) {
          const Text key = to_text(evaluate(e.children[n]), budget_);
          items.emplace_back(key.bytes, evaluate(e.children[n + 1]));
        }
        return Value::dict(std::move(items));
      }
      case Expression::Kind::kAttribute:
        return attribute(evaluate(e.children[0]), e.name);
      case Expression::Kind::kSubscript:
        return subscript(evaluate(e.children[0]), evaluate(e.children[1]));
      case Expression::Kind::kSlice:
        return slice(e);
      case Expression::Kind::kCall:
        return call(e);
      case Expression::Kind::kFilter: {
        const Value value = evaluate(e.children[0]);
        return apply_filter(e.name, value, evaluate(e.arguments), budget_);
      }
      case Expression::Kind::kTest: {
        const Value value = evaluate(e.children[0]);
        return apply_test(e.name, value, evaluate(e.arguments), budget_);
      }
      case Expression::Kind::kNot:
        return !truth(evaluate(e.children[0]));
      case Expression::Kind::kNegative:
        return arithmetic("-", std::int64_t{0}, evaluate(e.children[0]));
      case Expression::Kind::kBinary: {
        const Value left = evaluate(e.children[0]);
        return paid(arithmetic(e.name, left, evaluate(e.children[1])));
      }
      case Expression::Kind::kCompare:
        return compare(e);
      case Expression::Kind::kAnd: {
        Value left = evaluate(e.children[0]);
        return truth(left) ? evaluate(e.children[1]) : left;
      }
      case Expression::Kind::kOr: {
        Value left = evaluate(e.children[0]);
        return truth(left) ? left : evaluate(e.children[1]);
      }
      case Expression::Kind::kConditional:
        if (truth(evaluate(e.children[1]))) {
          return evaluate(e.children[0]);
        }
        return e.children[2] ? evaluate(e.children[2]) : Value(Undefined{"else"});
    }
    return None{};
  }

  Values evaluate(const Arguments& arguments) {
    Values values;
    for (const ExpressionPtr& argument : arguments.positional) {
      values.positional.push_back(evaluate(argument));
    }
    for (const auto& [name, argument] : arguments.named) {
      values.named.emplace_back(name, evaluate(argument));
    }
    return values;
  }

  Value paid(Value value) {
    pay_for(value, budget_);
    return value;
  }

  static Value attribute(const Value& value, const std::string& name) {
    const auto* dict = value.as<Dict>();
    if (dict != nullptr && (*dict)->find(name) != nullptr) {
      return *(*dict)->find(name);
    }
    if (has_method(value, name)) {
      return Callable{name, std::make_shared<Value>(value), nullptr};
    }
    return member(value, name);
  }

  Value subscript(const Value& value, const Value& index) {
    if (const auto* key = index.as<Text>()) {
      return attribute(value, key->bytes);
    }
    const auto* whole = index.as<std::int64_t>();
    const auto* list = value.as<List>();
    const auto* text = value.as<Text>();
    if (whole == nullptr || (list == nullptr && text == nullptr)) {
      return member(value, to_text(index, budget_).bytes);
    }
    if (text != nullptr) {
      budget_.spend_bytes(text->bytes.size());
    }
    const auto size = static_cast<std::int64_t>(list != nullptr ? (*list)->size() : length(*text));
    const std::int64_t at = *whole < 0 ? *whole + size : *whole;
    if (at < 0 || at >= size) {
      return Undefined{message("[", *whole, "]")};
    }
    const auto n = static_cast<std::size_t>(at);
    return list != nullptr ? (**list)[n] : Value(code_points(*text, n, n + 1));
  }

  Value slice(const Expression& e) {
    const Value value = evaluate(e.children[0]);
    const auto* text = value.as<Text>();
    if (text == nullptr && value.as<List>() == nullptr) {
      fail(message("cannot slice ", type_name(value)));
    }
    std::array<std::optional<std::int64_t>, 3> bounds;
    for (std::size_t n = 0; n < 3; ++n) {
      const Value bound = evaluate(e.children[n + 1]);
      if (const auto* whole = bound.as<std::int64_t>()) {
        bounds[n] = std::clamp<std::int64_t>(*whole, -(1LL << 40), 1LL << 40);
      } else if (bound.as<None>() == nullptr) {
        fail(message("a slice's bound is ", type_name(bound), "; expected a whole number"));
      }
    }
    const std::int64_t step = bounds[2].value_or(1);
    if (step == 0) {
      fail("a slice's step is 0");
    }
    // Texts of megabytes are sliced whole, not by characters.
    const bool is_plain = text != nullptr && step == 1;
    const std::vector<Value> items = is_plain ? std::vector<Value>() : items_of(value, budget_);
    const auto size = static_cast<std::int64_t>(is_plain ? length(*text) : items.size());
    const auto place = [&](std::int64_t n) { return n < 0 ? n + size : n; };
    const std::int64_t least = step > 0 ? 0 : -1;
    const std::int64_t most = step > 0 ? size : size - 1;
    const std::int64_t start = bounds[0] ? std::clamp(place(*bounds[0]), least, most) : (step > 0 ? 0 : size - 1);
    const std::int64_t stop = bounds[1] ? std::clamp(place(*bounds[1]), least, most) : (step > 0 ? size : -1);
    if (is_plain) {
      budget_.spend_bytes(text->bytes.size());
      return code_points(*text, static_cast<std::size_t>(start), static_cast<std::size_t>(stop));
    }
    std::vector<Value> taken;
    Text joined;
    for (std::int64_t n = start; step > 0 ? n < stop : n > stop; n += step) {
      if (text != nullptr) {
        joined.add(*items[static_cast<std::size_t>(n)].as<Text>());
      } else {
        taken.push_back(items[static_cast<std::size_t>(n)]);
      }
    }
    return text != nullptr ? Value(std::move(joined)) : Value::list(std::move(taken));
  }

  Value call(const Expression& e) {
    const Value function = evaluate(e.children[0]);
    const auto* callable = function.as<Callable>();
    if (callable == nullptr) {
      const std::string name = e.children[0]->name;
      throw Error(ErrorCode::kUnsupported, message("chat template: the function '", name, "' is not supported"));
    }
    const Values arguments = evaluate(e.arguments);
    if (callable->macro) {
      return run_macro(*callable->macro, arguments);
    }
    return paid(callable->self ? call_method(*callable->self, callable->name, arguments, budget_)
                               : call_function(callable->name, arguments, budget_));
  }

  Value run_macro(const Macro& macro, const Values& arguments) {
    Scope parameters;
    for (std::size_t n = 0; n < macro.parameters.size(); ++n) {
      const auto& [name, fallback] = macro.parameters[n];
      const Value* given = arguments.find(n, name);
      parameters[name] = given != nullptr ? *given : fallback ? evaluate(fallback) : Value(Undefined{name});
    }
    const MacroScopes scopes(scopes_, std::move(parameters));
    Text out;
    run(macro.body, out);
    return paid(std::move(out));
  }

  Value compare(const Expression& e) {
    Value left = evaluate(e.children[0]);
    for (std::size_t n = 0; n < e.operators.size(); ++n) {
      Value right = evaluate(e.children[n + 1]);
      if (!holds(e.operators[n], left, right)) {
        return false;
      }
      left = std::move(right);
    }
    return true;
  }

  bool holds(const std::string& symbol, const Value& left, const Value& right) {
    if (symbol == "==") {
      return equal(left, right, budget_);
    }
    if (symbol == "!=") {
      return !equal(left, right, budget_);
    }
    if (symbol == "in" || symbol == "not in") {
      return contains(right, left, budget_) == (symbol == "in");
    }
    int order = 0;
    if (left.as<Text>() != nullptr && right.as<Text>() != nullptr) {
      budget_.spend_bytes(std::min(left.as<Text>()->bytes.size(), right.as<Text>()->bytes.size()));
      order = left.as<Text>()->bytes.compare(right.as<Text>()->bytes);
    } else {
      const double a = number_of(left, symbol);
      const double b = number_of(right, symbol);
      order = a < b ? -1 : a > b ? 1 : 0;
    }
    return symbol == "<" ? order < 0 : symbol == "<=" ? order <= 0 : symbol == ">" ? order > 0 : order >= 0;
  }

  static double number_of(const Value& value, const std::string& symbol) {
    if (const auto* whole = value.as<std::int64_t>()) {
      return static_cast<double>(*whole);
    }
    if (const auto* number = value.as<double>()) {
      return *number;
    }
    if (const auto* flag = value.as<bool>()) {
      return *flag ? 1 : 0;
    }
    fail(message("'", symbol, "' wants numbers, not ", type_name(value)));
  }

  static std::optional<std::int64_t> whole_of(const Value& value) {
    if (const auto* flag = value.as<bool>()) {
      return *flag ? 1 : 0;
    }
    const auto* whole = value.as<std::int64_t>();
    return whole != nullptr ? std::optional(*whole) : std::nullopt;
  }

  static Value arithmetic(const std::string& symbol, const Value& left, const Value& right) {
    if (symbol == "~") {
      Text joined;
      add_text(joined, left);
      add_text(joined, right);
      return joined;
    }
    if (symbol == "+" && left.as<Text>() != nullptr && right.as<Text>() != nullptr) {
      Text joined = *left.as<Text>();
      joined.add(*right.as<Text>());
      return joined;
    }
    if (symbol == "+" && left.as<List>() != nullptr && right.as<List>() != nullptr) {
      std::vector<Value> joined = **left.as<List>();
      joined.insert(joined.end(), (*right.as<List>())->begin(), (*right.as<List>())->end());
      return Value::list(std::move(joined));
    }
    if (symbol == "*" && left.as<Text>() != nullptr && right.as<std::int64_t>() != nullptr) {
      return repeat(*left.as<Text>(), *right.as<std::int64_t>());
    }
    const std::optional<std::int64_t> a = whole_of(left);
    const std::optional<std::int64_t> b = whole_of(right);
    if (a && b && symbol == "**" && *b >= 0) {
      return whole_power(*a, *b);
    }
    if (a && b && symbol != "/" && symbol != "**") {
      return whole_arithmetic(symbol, *a, *b);
    }
    return real_arithmetic(symbol, number_of(left, symbol), number_of(right, symbol));
  }

  static Value repeat(const Text& text, std::int64_t times) {
    if (times > 0 && text.bytes.size() > kMaxTextBytes / static_cast<std::size_t>(times)) {
      fail(message("a string is longer than ", kMaxTextBytes, " bytes"));
    }
    const std::size_t size = times > 0 ? text.bytes.size() * static_cast<std::size_t>(times) : 0;
    Text out = text.slice(0, std::min(size, text.bytes.size()));
    while (out.bytes.size() < size) {
      out.add(out, 0, std::min(out.bytes.size(), size - out.bytes.size()));
    }
    return out;
  }

  static Value whole_arithmetic(const std::string& symbol, std::int64_t a, std::int64_t b) {
    std::int64_t result = 0;
    bool overflow = false;
    if (symbol == "+") {
      overflow = __builtin_add_overflow(a, b, &result);
    } else if (symbol == "-") {
      overflow = __builtin_sub_overflow(a, b, &result);
    } else if (symbol == "*") {
      overflow = __builtin_mul_overflow(a, b, &result);
    } else {
      if (b == 0) {
        fail("division by zero");
      }
      if (b == -1) {
        return symbol == "%" ? Value(std::int64_t{0}) : arithmetic("-", std::int64_t{0}, a);
      }
      const std::int64_t floored = a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
      result = symbol == "%" ? a - floored * b : floored;
    }
    if (overflow) {
      fail("a number is too large");
    }
    return result;
  }

  static Value whole_power(std::int64_t base, std::int64_t exponent) {
    if (base == 0 || base == 1 || exponent == 0) {
      return std::int64_t{exponent == 0 ? 1 : base};
    }
    Value power = std::int64_t{1};
    for (std::int64_t n = 0; n < exponent; ++n) {  // ends by overflow after 63 rounds at most, for -1 by the cap
      if (n == 64) {
        fail("an exponent is too large");
      }
      power = whole_arithmetic("*", *power.as<std::int64_t>(), base);
    }
    return power;
  }

  static Value real_arithmetic(const std::string& symbol, double a, double b) {
    if (symbol == "+") {
      return a + b;
    }
    if (symbol == "-") {
      return a - b;
    }
    if (symbol == "*") {
      return a * b;
    }
    if (symbol == "**") {
      return std::pow(a, b);
    }
    if (b == 0) {
      fail("division by zero");
    }
    if (symbol == "/") {
      return a / b;
    }
    return symbol == "%" ? a - std::floor(a / b) * b : std::floor(a / b);
  }

  std::vector<Scope> scopes_;
  Budget budget_;
  int depth_ = 0;
};

/// Visits every expression of a program.
class NameCheck {
 public:
  void visit(const Block& block) {
    for (const auto& statement : block) {
      visit(statement->expression);
      visit(statement->filter);
      visit(statement->body);
      visit(statement->otherwise);
      if (statement->macro) {
        visit(statement->macro->body);
      }
    }
  }

 private:
  void visit(const ExpressionPtr& e) {
    if (!e) {
      return;
    }
    const bool unknown_filter = e->kind == Expression::Kind::kFilter && !is_known_filter(e->name);
    const bool unknown_test = e->kind == Expression::Kind::kTest && !is_known_test(e->name);
    if (unknown_filter || unknown_test) {
      throw Error(ErrorCode::kUnsupported, message("chat template: the ", unknown_filter ? "filter" : "test", " '",
                                                   e->name, "' is not supported"));
    }
    for (const ExpressionPtr& child : e->children) {
      visit(child);
    }
    for (const ExpressionPtr& argument : e->arguments.positional) {
      visit(argument);
    }
    for (const auto& [name, argument] : e->arguments.named) {
      visit(argument);
    }
  }
};

}  // namespace

Text render(const Block& program, const std::vector<std::pair<std::string, Value>>& variables) {
  Text out;
  Evaluator(variables).run(program, out);
  return out;
}

void check_names(const Block& program) { NameCheck().visit(program); }

}  // namespace refrag::jinja

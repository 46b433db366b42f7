#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja_value.h"

namespace refrag::jinja {

struct Expression;
using ExpressionPtr = std::shared_ptr<const Expression>;
struct Statement;
using Block = std::vector<std::shared_ptr<const Statement>>;

/// Arguments of a call, filter or test.
struct Arguments {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named{};
};

struct Expression {
  enum class Kind {
    kLiteral,      // value
    kName,         // name
    kList,         // children
    kDict,         // children: key, value, key, value, ...
    kAttribute,    // children[0].name
    kSubscript,    // children[0][children[1]]
    kSlice,        // children[0][children[1]:children[2]:children[3]], null where left out
    kCall,         // children[0](arguments)
    kFilter,       // children[0] | name(arguments)
    kTest,         // children[0] is name(arguments)
    kNot,          // not children[0]
    kNegative,     // - children[0]
    kBinary,       // children[0] name children[1]: + - * / // % ~ **
    kCompare,      // children[0] operators[0] children[1] operators[1] children[2] ...
    kAnd,          // children[0] and children[1]
    kOr,           // children[0] or children[1]
    kConditional,  // children[0] if children[1] else children[2] (null: undefined)
  };
  Kind kind = Kind::kLiteral;
  Value value{};
  std::string name{};
  std::vector<ExpressionPtr> children{};
  std::vector<std::string> operators{};
  Arguments arguments{};
};

struct Statement {
  enum class Kind { kText, kOutput, kIf, kFor, kSet, kSetBlock, kMacro, kBlock, kBreak, kContinue };
  Kind kind = Kind::kText;
  std::string text{};                  // kText
  ExpressionPtr expression{};          // kOutput, kIf's condition, kFor's iterable, kSet's value
  ExpressionPtr filter{};              // kFor: the inline if
  std::vector<std::string> targets{};  // kFor and kSet: names; for a namespace's attribute: {"ns", ".", "attribute"}
  Block body{};
  Block otherwise{};  // kIf, kFor
  std::shared_ptr<const Macro> macro{};
};

struct Macro {
  std::string name{};
  std::vector<std::pair<std::string, ExpressionPtr>> parameters{};  // with the default, or null
  Block body{};
};

/// Parses as Jinja does with trim_blocks and lstrip_blocks, as Hugging Face transformers sets them. Throws kUnsupported
/// naming the statement that is not known, kCorrupt with the line for what is no template.
Block parse(std::string_view source);

}  // namespace refrag::jinja

#include "text/jinja_syntax.h"

#include <algorithm>
#include <initializer_list>
#include <optional>

#include "base/message.h"
#include "refrag/error.h"
#include "text/jinja_expression.h"
#include "text/jinja_pieces.h"

namespace refrag::jinja {
namespace {

class StatementParser {
 public:
  explicit StatementParser(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}

  Block parse() {
    std::string end;
    Block block = body({}, end);
    return block;
  }

 private:
  using Made = std::shared_ptr<const Statement>;

  /// Statements up to a tag whose word is in `ends`, which is given in `end` and left with its arguments in `end_tag_`.
  Block body(std::initializer_list<std::string_view> ends, std::string& end) {
    if (++depth_ > kMaxDepth) {
      fail_at(pieces_.empty() ? 1 : pieces_[std::min(at_, pieces_.size() - 1)].line,
              "statements are nested too deeply");
    }
    Block block;
    while (at_ < pieces_.size()) {
      const Piece& piece = pieces_[at_++];
      if (piece.kind == Piece::Kind::kText) {
        block.push_back(std::make_shared<Statement>(Statement{.kind = Statement::Kind::kText, .text = piece.text}));
        continue;
      }
      ExpressionParser tag(piece.text, piece.line);
      if (piece.kind == Piece::Kind::kOutput) {
        ExpressionPtr value = tag.tuple();
        tag.expect_end();
        block.push_back(std::make_shared<Statement>(Statement{.kind = Statement::Kind::kOutput, .expression = value}));
        continue;
      }
      const std::string word = tag.expect_name();
      if (std::find(ends.begin(), ends.end(), word) != ends.end()) {
        end = word;
        end_tag_ = std::move(tag);
        --depth_;
        return block;
      }
      block.push_back(statement(word, tag));
    }
    if (ends.size() > 0) {
      fail_at(pieces_.empty() ? 1 : pieces_.back().line,
              message("the template ends; expected {% ", *(ends.end() - 1), " %}"));
    }
    --depth_;
    return block;
  }

  Made statement(const std::string& word, ExpressionParser& tag) {
    if (word == "if") {
      return if_statement(tag);
    }
    if (word == "for") {
      return for_statement(tag);
    }
    if (word == "set") {
      return set_statement(tag);
    }
    if (word == "macro") {
      return macro_statement(tag);
    }
    if (word == "generation") {  // marks what is trained on; it renders as it is
      Statement block{.kind = Statement::Kind::kBlock};
      std::string end;
      block.body = body({"endgeneration"}, end);
      return std::make_shared<Statement>(std::move(block));
    }
    if (word == "break" || word == "continue") {
      tag.expect_end();
      return std::make_shared<Statement>(
          Statement{.kind = word == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue});
    }
    throw Error(ErrorCode::kUnsupported,
                message("chat template, line ", tag.line(), ": the statement {% ", word,
                        " %} is not supported; expected if, for, set, macro, generation, break or continue"));
  }

  Made if_statement(ExpressionParser& tag) {
    Statement made{.kind = Statement::Kind::kIf, .expression = tag.tuple()};
    tag.expect_end();
    std::string end;
    made.body = body({"elif", "else", "endif"}, end);
    if (end == "elif") {
      ExpressionParser next = std::move(*end_tag_);
      if (++depth_ > kMaxDepth) {
        fail_at(next.line(), "statements are nested too deeply");
      }
      made.otherwise.push_back(if_statement(next));
      --depth_;
    } else if (end == "else") {
      made.otherwise = body({"endif"}, end);
    }
    return std::make_shared<Statement>(std::move(made));
  }

  Made for_statement(ExpressionParser& tag) {
    Statement made{.kind = Statement::Kind::kFor};
    const bool parenthesized = tag.accept_operator("(");
    do {
      made.targets.push_back(tag.expect_name());
    } while (tag.accept_operator(","));
    if (parenthesized) {
      tag.expect_operator(")");
    }
    if (!tag.accept_word("in")) {
      fail_at(tag.line(), message("found '", tag.peek().text, "'; expected 'in'"));
    }
    made.expression = tag.disjunction();
    if (tag.accept_word("if")) {
      made.filter = tag.expression();
    }
    if (tag.is_word("recursive")) {
      throw Error(ErrorCode::kUnsupported,
                  message("chat template, line ", tag.line(), ": recursive loops are not supported"));
    }
    tag.expect_end();
    std::string end;
    made.body = body({"else", "endfor"}, end);
    if (end == "else") {
      made.otherwise = body({"endfor"}, end);
    }
    return std::make_shared<Statement>(std::move(made));
  }

  Made set_statement(ExpressionParser& tag) {
    Statement made{.kind = Statement::Kind::kSet};
    made.targets.push_back(tag.expect_name());
    if (tag.accept_operator(".")) {
      made.targets.insert(made.targets.end(), {".", tag.expect_name()});
    } else {
      while (tag.accept_operator(",")) {
        made.targets.push_back(tag.expect_name());
      }
    }
    if (tag.at_end()) {
      made.kind = Statement::Kind::kSetBlock;
      std::string end;
      made.body = body({"endset"}, end);
      return std::make_shared<Statement>(std::move(made));
    }
    tag.expect_operator("=");
    made.expression = tag.tuple();
    tag.expect_end();
    return std::make_shared<Statement>(std::move(made));
  }

  Made macro_statement(ExpressionParser& tag) {
    Macro macro{.name = tag.expect_name()};
    tag.expect_operator("(");
    while (!tag.is_operator(")")) {
      std::string name = tag.expect_name();
      ExpressionPtr fallback = tag.accept_operator("=") ? tag.expression() : nullptr;
      macro.parameters.emplace_back(std::move(name), std::move(fallback));
      if (!tag.accept_operator(",")) {
        break;
      }
    }
    tag.expect_operator(")");
    tag.expect_end();
    std::string end;
    macro.body = body({"endmacro"}, end);
    return std::make_shared<Statement>(
        Statement{.kind = Statement::Kind::kMacro, .macro = std::make_shared<const Macro>(std::move(macro))});
  }

  std::vector<Piece> pieces_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::optional<ExpressionParser> end_tag_;
};

}  // namespace

Block parse(std::string_view source) { return StatementParser(cut_template(source)).parse(); }

}  // namespace refrag::jinja

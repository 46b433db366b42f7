#include "text/prompt_template.h"

#include <algorithm>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

[[noreturn]] void fail(std::string_view text, std::string_view problem) {
  throw Error(ErrorCode::kInvalidArgument, message("prompt template \"", text, "\": ", problem));
}

std::string listed(const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) {
    list += (list.empty() ? "{" : ", {") + name + "}";
  }
  return list;
}

}  // namespace

std::vector<TemplatePart> split_template(std::string_view text, const std::vector<std::string>& allowed) {
  std::vector<TemplatePart> parts;
  std::string literal;
  const auto end_literal = [&] {
    if (!literal.empty()) {
      parts.push_back({TemplatePart::Kind::kLiteral, std::move(literal)});
      literal.clear();
    }
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const bool is_doubled = text.substr(at + 1, 1) == std::string_view(&c, 1);
    if (c != '{' && c != '}') {
      literal += c;
    } else if (is_doubled) {
      literal += c;
      ++at;
    } else if (c == '}') {
      fail(text, "a \"}\" stands alone; \"}}\" is a brace");
    } else {
      const std::size_t end = text.find('}', at);
      if (end == std::string_view::npos) {
        fail(text, "a \"{\" is never closed; \"{{\" is a brace");
      }
      const std::string name(text.substr(at + 1, end - at - 1));
      if (std::find(allowed.begin(), allowed.end(), name) == allowed.end()) {
        fail(text, message("{", name, "} is not known; expected ", listed(allowed)));
      }
      end_literal();
      parts.push_back({TemplatePart::Kind::kPlaceholder, name});
      at = end;
    }
  }
  end_literal();
  return parts;
}

}  // namespace refrag

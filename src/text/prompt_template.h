#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace refrag {

/// How passages and a question become a prompt, as refrag.json has it ("prompt").
struct PromptTemplate {
  std::string text = "{context}\nQuestion: {question}\nAnswer:";  // {context} at most once, {question} once
  std::string passage = "{text}\n";                               // {title} and {text}; all but {text} is always tokens
  std::string separator;                                          // between passages, always tokens
  std::string query = "{question}";                               // what the policy reads, cut into chunks
  std::string answer = " {answer}";  // how an answer stands behind the prompt, EOS after it: training and evaluation
  bool bos = true;                   // BOS once, at the start
};

/// One part of a template that was split at its place holders.
struct TemplatePart {
  enum class Kind { kLiteral, kPlaceholder };
  Kind kind = Kind::kLiteral;
  std::string text;  // the literal, or the place holder's name
};

/// "Q: {question}" -> literal "Q: ", place holder "question". "{{" and "}}" stand for braces. Throws kInvalidArgument
/// for an unknown place holder, naming it and those in `allowed`.
std::vector<TemplatePart> split_template(std::string_view text, const std::vector<std::string>& allowed);

}  // namespace refrag

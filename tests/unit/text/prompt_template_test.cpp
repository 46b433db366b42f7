#include "text/prompt_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "refrag/error.h"

namespace refrag {
namespace {

using ::testing::HasSubstr;

/// Literals as they are, place holders as <name>.
std::string shown(const std::vector<TemplatePart>& parts) {
  std::string text;
  for (const TemplatePart& part : parts) {
    text += part.kind == TemplatePart::Kind::kLiteral ? "[" + part.text + "]" : "<" + part.text + ">";
  }
  return text;
}

std::string problem_of(std::string_view text) {
  try {
    split_template(text, {"context", "question"});
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "no error";
}

TEST(PromptTemplateTest, IsSplitAtItsPlaceHolders) {
  EXPECT_EQ(shown(split_template("{context}\nQuestion: {question}\nAnswer:", {"context", "question"})),
            "<context>[\nQuestion: ]<question>[\nAnswer:]");
  EXPECT_EQ(shown(split_template("{a}{b}", {"a", "b"})), "<a><b>");
  EXPECT_EQ(shown(split_template("plain", {})), "[plain]");
  EXPECT_EQ(shown(split_template("", {})), "");
}

TEST(PromptTemplateTest, DoubledBracesStandForBraces) {
  EXPECT_EQ(shown(split_template("{{\"q\": \"{question}\"}}", {"question"})), "[{\"q\": \"]<question>[\"}]");
}

TEST(PromptTemplateTest, AnUnknownPlaceHolderIsNamedWithThoseThatAreKnown) {
  EXPECT_THAT(problem_of("Q: {quest}"), HasSubstr("{quest} is not known; expected {context}, {question}"));
  EXPECT_THAT(problem_of("{}"), HasSubstr("{} is not known"));
}

TEST(PromptTemplateTest, BracesThatDoNotMatchAreRefused) {
  EXPECT_THAT(problem_of("Q: {question"), HasSubstr("never closed"));
  EXPECT_THAT(problem_of("Q: question}"), HasSubstr("stands alone"));
}

}  // namespace
}  // namespace refrag

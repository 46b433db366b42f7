#include "text/added_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> found(
    const std::vector<AddedToken>& tokens, const std::string& text,
    const AddedTokenFinder::MayMatch& may_match = [](const auto&, const auto&) { return true; }) {
  std::vector<std::string> patterns;
  for (const AddedToken& token : tokens) {
    patterns.push_back(token.content);
  }
  std::vector<std::string> matches;
  for (const auto& match : AddedTokenFinder(tokens, patterns).find(text, may_match)) {
    matches.push_back(text.substr(match.span.begin, match.span.end - match.span.begin));
  }
  return matches;
}

TEST(AddedTokenFinderTest, TheLeftmostThenTheLongestMatches) {
  EXPECT_THAT(found({{.content = "<a>"}, {.content = "<a>b"}, {.content = "b<"}}, "x<a>b<a>"),
              ElementsAre("<a>b", "<a>"));
}

TEST(AddedTokenFinderTest, WhiteSpaceGoesToTokensThatTakeIt) {
  EXPECT_THAT(found({{.content = "<m>", .lstrip = true}}, "a \u00A0<m> b"), ElementsAre(" \u00A0<m>"));
  EXPECT_THAT(found({{.content = "<m>", .rstrip = true}}, "a <m> \n<m>"), ElementsAre("<m> \n", "<m>"));
  EXPECT_THAT(found({{.content = "<m>", .lstrip = true, .rstrip = true}}, "<m>  <m>"), ElementsAre("<m>  ", "<m>"));
}

TEST(AddedTokenFinderTest, SingleWordsTouchNoWordCharacter) {
  const std::vector<AddedToken> tokens = {{.content = "cat", .single_word = true}};
  EXPECT_THAT(found(tokens, "cat cats écat (cat)"), ElementsAre("cat", "cat"));
}

TEST(AddedTokenFinderTest, WhereALongTokenMayNotMatchAShorterMay) {
  const auto only_short = [](const AddedToken& token, const Span&) { return token.content.size() == 1; };
  EXPECT_THAT(found({{.content = "ab"}, {.content = "a"}}, "abab", only_short), ElementsAre("a", "a"));
  EXPECT_THAT(found({{.content = "ab"}}, "abab", only_short), IsEmpty());
}

TEST(AddedTokenTest, AStringIsASpecialTokensContent) {
  const AddedToken token = read_added_token(Json("</s>"), "eos", 2);
  EXPECT_EQ(token.content, "</s>");
  EXPECT_TRUE(token.special);
  EXPECT_FALSE(token.normalized);
}

}  // namespace
}  // namespace refrag

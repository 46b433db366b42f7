#include "text/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "refrag/error.h"
#include "text/regex_syntax.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> matches(const std::string& pattern, const std::string& text) {
  std::vector<std::string> found;
  for (const Span& span : Regex(pattern).find_all(text)) {
    found.push_back(text.substr(span.begin, span.end - span.begin));
  }
  return found;
}

ErrorCode refusal_code(const std::string& pattern) {
  try {
    Regex regex(pattern);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST(RegexTest, MatchesAreFoundLeftToRight) { EXPECT_THAT(matches("a+|b", "xaab a"), ElementsAre("aa", "b", "a")); }

TEST(RegexTest, WhiteSpaceIsUnicodes) {
  EXPECT_THAT(matches(R"(\s)", "a\u0085b\u00A0c\u180Ed"), ElementsAre("\u0085", "\u00A0"));
  EXPECT_THAT(matches(R"([^\s]+)", "a\u180Eb\u3000c"), ElementsAre("a\u180Eb", "c"));
  EXPECT_THAT(matches(R"(\s+(?!\S))", "a   b"), ElementsAre("  "));
}

TEST(RegexTest, ContractionsWithoutCaseTakeTheLongS) {
  EXPECT_THAT(matches("(?i:'s|'t)", "'S 'T '\u017F 'x"), ElementsAre("'S", "'T", "'\u017F"));
}

TEST(RegexTest, ScriptsAreWithoutTheirExtensions) {
  EXPECT_THAT(matches(R"(\p{Han}+)", "\u4F60\u3001\u597D"), ElementsAre("\u4F60", "\u597D"));
  EXPECT_THAT(matches(R"(\p{Letter}\p{^L})", "a1"), ElementsAre("a1"));
}

TEST(RegexTest, ClassesInsideClassesAreUnions) {
  EXPECT_THAT(matches("[a[bc]d]+", "xabcdx"), ElementsAre("abcd"));
  EXPECT_THAT(matches(R"( ?[^(\s|[.,])]+)", "ab, (c|d"), ElementsAre("ab", "c", "d"));  // BLOOM's
}

TEST(RegexTest, OnigurumasOwnEscapesAreTranslated) {
  EXPECT_THAT(matches(R"(\h+)", "xfFz"), ElementsAre("fF"));
  EXPECT_THAT(matches(R"(\u2581)", "a\u2581"), ElementsAre("\u2581"));
  EXPECT_THAT(matches(R"(\b\w)", "ab c\u00BD"), ElementsAre("a", "c"));
}

TEST(RegexTest, PlainTextIsEscaped) {
  const Regex regex = Regex::of_text("a.b(\u2581");
  EXPECT_EQ(regex.find_all("a.b(\u2581").size(), 1U);
  EXPECT_TRUE(regex.find_all("axb(\u2581").empty());
}

TEST(RegexTest, BrokenPatternsAreRefused) { EXPECT_EQ(refusal_code("(a"), ErrorCode::kCorrupt); }

TEST(RegexTest, WhatHasNoCounterpartIsRefusedByName) {
  for (const char* pattern : {"[a&&b]", "[a[^b]]", R"([\W])", "(?m:a.b)", R"(\K)", "[a"}) {
    EXPECT_EQ(refusal_code(pattern), ErrorCode::kUnsupported) << pattern;
  }
  try {
    translate_oniguruma("[a&&b]");
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("&&"));
  }
}

TEST(RegexTest, EndlessPatternsGiveUp) {
  try {
    Regex("(a|aa)+$").find_all(std::string(200, 'a') + "b");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  }
}

TEST(RegexTest, EmptyMatchesMoveOn) { EXPECT_EQ(Regex("x*").find_all("aé").size(), 2U); }

}  // namespace
}  // namespace refrag

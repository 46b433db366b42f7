#include "engine/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

namespace refrag {
namespace {

/// What is shown of `pieces`, joined, with "|" where the matcher stopped.
std::string shown(StopMatcher matcher, const std::vector<std::string>& pieces) {
  std::string all;
  for (const std::string& piece : pieces) {
    all += matcher.add(piece);
    if (matcher.stopped()) return all + "|";
  }
  return all + matcher.finish();
}

TEST(StopMatcherTest, TextWithoutAStopStringPassesWhole) {
  EXPECT_EQ(shown(StopMatcher({"\n\n"}), {"one", "\ntwo", "\n"}), "one\ntwo\n");
  EXPECT_EQ(shown(StopMatcher({}), {"one", "two"}), "onetwo");
}

TEST(StopMatcherTest, AStopStringAcrossPiecesEndsTheTextBeforeIt) {
  EXPECT_EQ(shown(StopMatcher({"STOP"}), {"abcS", "T", "OPxyz"}), "abc|");
}

TEST(StopMatcherTest, TheBeginningOfAStopStringIsHeldBackUntilItIsRefuted) {
  StopMatcher matcher({"abc"});
  EXPECT_EQ(matcher.add("xab"), "x");
  EXPECT_EQ(matcher.add("ab"), "ab");
  EXPECT_EQ(matcher.add("d"), "abd");
}

TEST(StopMatcherTest, TheStopStringThatIsCompleteFirstCounts) {
  EXPECT_EQ(shown(StopMatcher({"abcd", "c"}), {"xabcd"}), "xab|");
  EXPECT_EQ(shown(StopMatcher({"c", "bc"}), {"xabcd"}), "xa|");
}

TEST(StopMatcherTest, AnEmptyStopStringStopsNothing) { EXPECT_EQ(shown(StopMatcher({""}), {"abc"}), "abc"); }

TEST(StopMatcherTest, TheResultDoesNotDependOnHowTheTextIsCut) {
  std::mt19937 random(1);
  const auto letters = [&](std::size_t length) {
    std::string text;
    while (text.size() < length) text += static_cast<char>('a' + random() % 2);
    return text;
  };
  for (int trial = 0; trial < 500; ++trial) {
    const std::string text = letters(20);
    const StopMatcher matcher({letters(1 + random() % 5), letters(2 + random() % 5)});
    std::vector<std::string> bytes;
    for (const char c : text) bytes.emplace_back(1, c);
    std::vector<std::string> pieces(1);
    for (const char c : text) {
      if (random() % 3 == 0) pieces.emplace_back();
      pieces.back() += c;
    }
    EXPECT_EQ(shown(matcher, pieces), shown(matcher, bytes)) << text;
    EXPECT_EQ(shown(matcher, {text}), shown(matcher, bytes)) << text;
  }
}

}  // namespace
}  // namespace refrag

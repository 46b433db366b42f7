#include "text/word_cutter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// The words that a cutter hands out, each made one token.
std::vector<std::string> words_of(const WordCutter& cutter, std::string_view text, std::vector<WordToken>& tokens) {
  std::vector<std::string> words;
  cutter.tokenize(text, tokens, [&words](std::string_view word, std::vector<WordToken>& out) {
    words.emplace_back(word);
    out.push_back({1, 0, static_cast<std::uint32_t>(word.size())});
  });
  return words;
}

std::vector<std::string> words_of(const WordCutter& cutter, std::string_view text) {
  std::vector<WordToken> tokens;
  return words_of(cutter, text, tokens);
}

TEST(WordCutterTest, AWordEndsBeforeASpaceThatFollowsSomethingElse) {
  WordCutter cutter;
  cutter.add_token("▁▁");
  cutter.add_token("▁ab");
  EXPECT_THAT(words_of(cutter, "ab▁▁cd▁e▁"), ElementsAre("ab", "▁▁cd", "▁e", "▁"));
  EXPECT_THAT(words_of(cutter, ""), IsEmpty());
}

TEST(WordCutterTest, TextStaysWholeWhereATokenReachesOverASpace) {
  WordCutter cutter;
  cutter.add_token("of▁the");
  EXPECT_THAT(words_of(cutter, "ab▁cd"), ElementsAre("ab▁cd"));
  WordCutter forbidden;
  forbidden.forbid_cuts();
  EXPECT_THAT(words_of(forbidden, "ab▁cd"), ElementsAre("ab▁cd"));
}

TEST(WordCutterTest, AWordIsCutOnceAndItsTokensStandWhereItStands) {
  const WordCutter cutter;
  std::vector<WordToken> tokens;
  EXPECT_THAT(words_of(cutter, "▁a▁b▁a", tokens), ElementsAre("▁a", "▁b"));
  EXPECT_THAT(tokens, ElementsAre(WordToken{1, 0, 4}, WordToken{1, 4, 8}, WordToken{1, 8, 12}));
}

}  // namespace
}  // namespace refrag

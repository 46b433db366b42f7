#include "text/sentences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Sentences as text; "¶" stands before a paragraph, "#" before a heading.
std::vector<std::string> shown(std::string_view text) {
  std::vector<std::string> sentences;
  for (const Sentence& sentence : find_sentences(text)) {
    const char* mark = sentence.before == Border::kHeading ? "#" : sentence.before == Border::kParagraph ? "¶" : "";
    EXPECT_EQ(sentence.is_heading, sentence.before == Border::kHeading);
    sentences.push_back(mark + std::string(text.substr(sentence.begin, sentence.end - sentence.begin)));
  }
  return sentences;
}

TEST(SentencesTest, EndWithTheirFullStop) {
  EXPECT_THAT(shown("It rains. Is it cold? Yes!  It is 3.5 degrees."),
              ElementsAre("¶It rains.", "Is it cold?", "Yes!", "It is 3.5 degrees."));
}

TEST(SentencesTest, RunOnOverLineBreaks) {
  EXPECT_THAT(shown("A sentence that was\nwrapped. Another\none.\n"),
              ElementsAre("¶A sentence that was\nwrapped.", "Another\none."));
}

TEST(SentencesTest, BlankLinesEndParagraphs) {
  EXPECT_THAT(shown("no stop here\n \t\n\nnor here"), ElementsAre("¶no stop here", "¶nor here"));
}

TEST(SentencesTest, HeadingsStandAlone) {
  EXPECT_THAT(shown("# Moon\nIt is far.\n## Sun #\nIt is farther."),
              ElementsAre("## Moon", "It is far.", "### Sun #", "It is farther."));
  EXPECT_THAT(shown("#hash is a word\n####### seven are too many"),
              ElementsAre("¶#hash is a word\n####### seven are too many"));
}

TEST(SentencesTest, UnderlinedLinesAreHeadings) {
  EXPECT_THAT(shown("Moon\n====\nIt is far.\n\nSun\n---  \nIt is farther."),
              ElementsAre("#Moon\n====", "It is far.", "#Sun\n---", "It is farther."));
}

TEST(SentencesTest, ARuleAfterAParagraphIsNoUnderline) {
  EXPECT_THAT(shown("One line.\nLast line\n---"), ElementsAre("¶One line.", "Last line\n---"));
}

TEST(SentencesTest, BlankTextHasNone) {
  EXPECT_THAT(shown(""), IsEmpty());
  EXPECT_THAT(shown(" \n\t \u00A0\u3000\n"), IsEmpty());
}

TEST(SentencesTest, OtherScriptsHaveTheirOwnStops) {
  EXPECT_THAT(shown("月は遠い。太陽はもっと遠い。"), ElementsAre("¶月は遠い。", "太陽はもっと遠い。"));
}

TEST(SentencesTest, SpaceIsWhatUnicodeCallsSo) {
  const std::string text = "\u3000 a \u00A0";
  EXPECT_EQ(skip_space(text, 0, text.size()), 4U);
  EXPECT_EQ(drop_space(text, 0, text.size()), 5U);
  EXPECT_EQ(skip_space("  ", 0, 2), 2U);
  EXPECT_EQ(drop_space("  ", 0, 2), 0U);
}

}  // namespace
}  // namespace refrag

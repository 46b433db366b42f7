#include "eval/answer_match.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The expected values are those of normalize_answer and f1_score in SQuAD's evaluate-v1.1.py.

TEST(AnswerMatchTest, WordsAreNormalizedAsInSquad) {
  EXPECT_THAT(answer_words("The  Quick, brown\tFox!"), ElementsAre("quick", "brown", "fox"));
  EXPECT_THAT(answer_words("5.27.5-2"), ElementsAre("52752"));
  EXPECT_THAT(answer_words("an A the"), IsEmpty());
  EXPECT_THAT(answer_words("theory of a man"), ElementsAre("theory", "of", "man"));
  EXPECT_THAT(answer_words("ÄRGER über"), ElementsAre("ärger", "über"));
  EXPECT_THAT(answer_words("bad \xff byte"), ElementsAre("bad", "\uFFFD", "byte"));
}

TEST(AnswerMatchTest, F1IsOverWordsAsOftenAsBothHaveThem) {
  EXPECT_DOUBLE_EQ(token_f1("the Debian Qt/KDE Maintainers", "Debian Qt/KDE maintainers"), 1);
  EXPECT_DOUBLE_EQ(token_f1("big stone wall", "big stone"), 0.8);
  EXPECT_DOUBLE_EQ(token_f1("x x x", "x y"), 0.4);
  EXPECT_DOUBLE_EQ(token_f1("red", "blue"), 0);
}

TEST(AnswerMatchTest, NothingMatchesOnlyNothing) {
  EXPECT_DOUBLE_EQ(token_f1("", "the"), 1);
  EXPECT_DOUBLE_EQ(token_f1("", "x"), 0);
  EXPECT_DOUBLE_EQ(token_f1("x", "!"), 0);
}

}  // namespace
}  // namespace refrag

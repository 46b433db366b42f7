#include "text/vocabulary.h"

#include <gtest/gtest.h>

#include "refrag/error.h"

namespace refrag {
namespace {

TEST(VocabularyTest, TokensAreFoundByIdAndBySpelling) {
  Vocabulary vocabulary;
  vocabulary.add("a", 0, "test");
  vocabulary.add("bc", 5, "test");
  EXPECT_EQ(vocabulary.size(), 6U);
  EXPECT_EQ(vocabulary.id_of("bc"), 5);
  EXPECT_EQ(vocabulary.token_of(5), "bc");
  EXPECT_EQ(vocabulary.longest(), 2U);
  EXPECT_FALSE(vocabulary.has(3));
  EXPECT_FALSE(vocabulary.has(-1));
  EXPECT_EQ(vocabulary.token_of(3), "");
}

TEST(VocabularyTest, NoWordBecomesAReservedToken) {
  Vocabulary vocabulary;
  vocabulary.add("</s>", 0, "test");
  vocabulary.reserve_token(0);
  EXPECT_EQ(vocabulary.id_of("</s>"), 0);
  EXPECT_EQ(vocabulary.word_id_of("</s>"), std::nullopt);
}

TEST(VocabularyTest, TakenAndAbsurdIdsAreRefused) {
  Vocabulary vocabulary;
  vocabulary.add("a", 1, "test");
  EXPECT_THROW(vocabulary.add("b", 1, "test"), Error);
  EXPECT_THROW(vocabulary.add("b", -1, "test"), Error);
  EXPECT_THROW(vocabulary.add("b", Vocabulary::kMaxId + 1, "test"), Error);
}

}  // namespace
}  // namespace refrag

#include "retrieve/near_duplicates.h"

#include <gtest/gtest.h>

#include <string>

namespace refrag {
namespace {

// "w1 w2 ... wN"
std::string numbered_words(int count) {
  std::string text;
  for (int i = 1; i <= count; ++i) {
    text += "w" + std::to_string(i) + ' ';
  }
  return text;
}

TEST(NearDuplicatesTest, FindsTheSameWordsInOtherCaseAndSpacing) {
  NearDuplicates seen(0.9);

  EXPECT_FALSE(seen.repeats("The Moon is the only natural satellite"));
  EXPECT_TRUE(seen.repeats("the moon\nis  the only natural SATELLITE "));
}

TEST(NearDuplicatesTest, TellsTextsApartByTheShareOfTheirGrams) {
  // 100 words have 96 grams. One word more has one gram more: 96/97. Another first word: 95/97. Another in the middle:
  // 91/101.
  const std::string text = numbered_words(100);
  NearDuplicates seen(0.95);
  ASSERT_FALSE(seen.repeats(text));

  EXPECT_TRUE(seen.repeats(text + "more"));
  EXPECT_TRUE(seen.repeats("other" + text.substr(2)));
  std::string changed = text;
  changed.replace(changed.find("w50 "), 3, "new");
  EXPECT_FALSE(seen.repeats(changed));
}

TEST(NearDuplicatesTest, MindsTheOrderOfWords) {
  NearDuplicates seen(0.9);

  EXPECT_FALSE(seen.repeats("a b c d e f"));
  EXPECT_FALSE(seen.repeats("f e d c b a"));
}

TEST(NearDuplicatesTest, ComparesShortTextsAsAWhole) {
  NearDuplicates seen(0.9);

  EXPECT_FALSE(seen.repeats("version 1"));
  EXPECT_FALSE(seen.repeats("version 2"));
  EXPECT_FALSE(seen.repeats(""));
  EXPECT_TRUE(seen.repeats("version 1"));
}

TEST(NearDuplicatesTest, ComparesWithWhatWasKeptAlone) {
  NearDuplicates seen(0.95);
  const std::string text = numbered_words(100);

  EXPECT_FALSE(seen.repeats(text));
  EXPECT_TRUE(seen.repeats(text + "a b c d "));
  EXPECT_FALSE(seen.repeats(text + "a b c d e f g h "));  // near the second, which was dropped
}

TEST(NearDuplicatesTest, CanBeOff) {
  NearDuplicates seen(1.1);

  EXPECT_FALSE(seen.repeats("same"));
  EXPECT_FALSE(seen.repeats("same"));
}

}  // namespace
}  // namespace refrag

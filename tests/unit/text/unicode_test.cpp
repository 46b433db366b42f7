#include "text/unicode.h"

#include <gtest/gtest.h>

namespace refrag {
namespace {

TEST(UnicodeTest, NextLineAndNoBreakSpaceAreWhiteSpaceAndZeroWidthSpaceIsNot) {
  EXPECT_TRUE(is_white_space(0x85));
  EXPECT_TRUE(is_white_space(0xA0));
  EXPECT_FALSE(is_white_space(0x200B));
  EXPECT_FALSE(is_white_space(0xFEFF));
}

TEST(UnicodeTest, FractionsAndRomanNumeralsAreNumeric) {
  EXPECT_TRUE(is_numeric(0xBD));    // ½
  EXPECT_TRUE(is_numeric(0x2163));  // Ⅳ
  EXPECT_FALSE(is_numeric('a'));
}

TEST(UnicodeTest, AsciiSymbolsCountAsPunctuation) {
  EXPECT_TRUE(is_punctuation('$'));
  EXPECT_TRUE(is_punctuation(0x3002));   // 。
  EXPECT_FALSE(is_punctuation(0x20AC));  // €, a currency symbol
}

TEST(UnicodeTest, TablesAreOfTheVersionThatTokenizersCarries) {
  EXPECT_FALSE(is_punctuation(0x2E52));                         // of Unicode 14
  EXPECT_FALSE(is_nonspacing_mark(0x1DF6));                     // of Unicode 10
  EXPECT_EQ(normalize(NormalForm::kNfkc, "\u32FF"), "\u32FF");  // of Unicode 12.1
}

TEST(UnicodeTest, OnlyDottedCapitalIBecomesTwoCodePoints) {
  EXPECT_EQ(to_lower_case(0x130), "i\u0307");
  EXPECT_EQ(to_lower_case(0x3A3), "\u03C3");  // a final sigma needs context
}

TEST(UnicodeTest, NormalFormsComposeAndDecompose) {
  EXPECT_EQ(normalize(NormalForm::kNfc, "e\u0301"), "\u00E9");
  EXPECT_EQ(normalize(NormalForm::kNfd, "\u00E9"), "e\u0301");
  EXPECT_EQ(normalize(NormalForm::kNfkc, "\uFB01"), "fi");
  EXPECT_TRUE(is_normalized(NormalForm::kNfc, "\u00E9"));
  EXPECT_FALSE(is_boundary_before(NormalForm::kNfc, 0x301));
}

TEST(UnicodeTest, GraphemeClustersEndAfterTheirMarks) {
  const std::string text = "e\u0301a\r\n";
  GraphemeCursor cursor(text);
  EXPECT_EQ(cursor.next(), 3U);
  EXPECT_EQ(cursor.next(), 4U);
  EXPECT_EQ(cursor.next(), 6U);
  EXPECT_EQ(cursor.next(), 6U);
}

}  // namespace
}  // namespace refrag

#include "base/utf8.h"

#include <gtest/gtest.h>

namespace refrag {
namespace {

TEST(Utf8Test, CharactersOfEveryLengthAreValid) {
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8("aé€😀\uFFFF\U0010FFFF"));
}

TEST(Utf8Test, OverlongSurrogateStrayAndTooLargeFormsAreNot) {
  for (const char* bytes : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                            "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe2\x82", "\xe2\x28\xa1"}) {
    EXPECT_FALSE(is_valid_utf8(bytes));
  }
}

TEST(Utf8Test, EachMaximalInvalidPartBecomesOneReplacement) {  // as Python's bytes.decode(errors="replace")
  EXPECT_EQ(to_valid_utf8("a\xff\xfe"
                          "b"),
            "a\uFFFD\uFFFDb");
  EXPECT_EQ(to_valid_utf8("\xe2\x82"), "\uFFFD");
  EXPECT_EQ(to_valid_utf8("\xe2\x82(\xf0\x9f\x98"), "\uFFFD(\uFFFD");
  EXPECT_EQ(to_valid_utf8("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");
  EXPECT_EQ(to_valid_utf8("\xc0\x80"), "\uFFFD\uFFFD");
  EXPECT_EQ(to_valid_utf8("\xf0\x9f\xe2\x82\xac"), "\uFFFD€");
  EXPECT_EQ(to_valid_utf8("fine é"), "fine é");
}

TEST(Utf8Test, PositionsAreCodePoints) {
  const std::string text = "aé€😀";
  EXPECT_EQ(count_code_points(text), 4U);
  EXPECT_EQ(byte_of_code_point(text, 0), 0U);
  EXPECT_EQ(byte_of_code_point(text, 2), 3U);
  EXPECT_EQ(byte_of_code_point(text, 3), 6U);
  EXPECT_EQ(byte_of_code_point(text, 4), text.size());
  EXPECT_EQ(byte_of_code_point(text, 99), text.size());
}

TEST(Utf8Test, TheIndexCountsOffsetsInsideACharacterAsItsStart) {
  const CodePointIndex index("aé😀");
  EXPECT_EQ(index.at_byte(0), 0U);
  EXPECT_EQ(index.at_byte(1), 1U);
  EXPECT_EQ(index.at_byte(2), 1U);
  EXPECT_EQ(index.at_byte(3), 2U);
  EXPECT_EQ(index.at_byte(6), 2U);
  EXPECT_EQ(index.at_byte(7), 3U);
  EXPECT_EQ(index.at_byte(99), 3U);
  EXPECT_EQ(CodePointIndex("").at_byte(0), 0U);
}

TEST(Utf8Test, AnIncompleteTailIsWhatMoreBytesCouldFinish) {
  EXPECT_EQ(incomplete_tail("a"), 0U);
  EXPECT_EQ(incomplete_tail(""), 0U);
  EXPECT_EQ(incomplete_tail("a\xc3"), 1U);
  EXPECT_EQ(incomplete_tail("a\xe2\x82"), 2U);
  EXPECT_EQ(incomplete_tail("\xf0\x9f\x98"), 3U);
  EXPECT_EQ(incomplete_tail("a€"), 0U);
  EXPECT_EQ(incomplete_tail("\xff"), 0U);
  EXPECT_EQ(incomplete_tail("\xed\xa0"), 0U);
  EXPECT_EQ(incomplete_tail("\x82"), 0U);
}

}  // namespace
}  // namespace refrag

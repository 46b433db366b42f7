#include "text/decode_text.h"

#include <gtest/gtest.h>

namespace refrag {
namespace {

using std::string_literals::operator""s;

TEST(DecodeTextTest, DropsTheMarkOfUtf8) { EXPECT_EQ(decode_text("\xef\xbb\xbfmoon"), "moon"); }

TEST(DecodeTextTest, ReplacesWhatIsNotUtf8) { EXPECT_EQ(decode_text("mo\xffon"), "mo\ufffdon"); }

TEST(DecodeTextTest, ReadsUtf16OfBothByteOrders) {
  EXPECT_EQ(decode_text("\xff\xfeM\0\xf6\0"s), "M\u00f6");
  EXPECT_EQ(decode_text("\xfe\xff\0M\xd8\x3d\xde\x00"s), "M\U0001F600");
}

TEST(DecodeTextTest, ReplacesHalfCharactersOfUtf16) {
  EXPECT_EQ(decode_text("\xff\xfe\x3d\xd8M\0"s), "\ufffdM");
  EXPECT_EQ(decode_text("\xff\xfeM\0x"s), "M\ufffd");
}

TEST(DecodeTextTest, TakesAMarkAloneAsNothing) {
  EXPECT_EQ(decode_text("\xff\xfe"), "");
  EXPECT_EQ(decode_text(""), "");
}

}  // namespace
}  // namespace refrag

#include <gtest/gtest.h>

#include <string>

#include "base/utf8.h"
#include "refrag/error.h"
#include "text/chunker.h"

namespace refrag {
namespace {

TEST(DocumentTextTest, LineEndsBecomeOne) {
  EXPECT_EQ(normalize_document_text("a\r\nb\rc\n\r\n\r\n"), "a\nb\nc\n\n\n");
}

TEST(DocumentTextTest, CharactersAreComposed) {
  EXPECT_EQ(normalize_document_text("e\u0301"), "\u00e9");
  EXPECT_EQ(normalize_document_text("\uFB01 \u00BD"), "\uFB01 \u00BD");  // compatibility characters stay
}

TEST(DocumentTextTest, BytesThatAreNotUtf8BecomeReplacements) {
  EXPECT_EQ(normalize_document_text("a\xff"), "a\uFFFD");
}

TEST(DocumentTextTest, NulAndByteOrderMarksGo) {
  EXPECT_EQ(normalize_document_text(std::string("\xEF\xBB\xBF"
                                                "a\0b",
                                                6)),
            "ab");
}

TEST(DocumentTextTest, NormalizingTwiceChangesNothing) {
  for (const std::string& text :
       {std::string("\0\xEF\xBB\xBF\xEF\xBB\xBFx\r\0\n", 11), std::string("e\u0323\u0301\xff\r\r\n")}) {
    const std::string once = normalize_document_text(text);
    EXPECT_EQ(normalize_document_text(once), once);
    EXPECT_TRUE(is_valid_utf8(once));
  }
}

TEST(DocumentTextTest, EndlessCombiningMarksAreRefused) {
  std::string text = "a";
  for (int i = 0; i < 2000; ++i) {
    text += "\u0301\u0323";
  }
  try {
    normalize_document_text(text);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace refrag

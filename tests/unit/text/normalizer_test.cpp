#include "text/normalizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace refrag {
namespace {

AlignedText normalized(const std::string& json, const std::string& text) {
  const Json parsed = parse_json(json, "test");
  return Normalizer(JsonReader(parsed, "normalizer", ErrorCode::kCorrupt))(AlignedText(text, 0));
}

std::string text_of(const std::string& json, const std::string& text) { return normalized(json, text).text(); }

TEST(NormalizerTest, EachStepDoesWhatItsNameSays) {
  EXPECT_EQ(text_of(R"({"type": "NFC"})", "e\u0301"), "\u00E9");
  EXPECT_EQ(text_of(R"({"type": "NFKD"})", "\uFB01"), "fi");
  EXPECT_EQ(text_of(R"({"type": "Lowercase"})", "ÀB"), "àb");
  EXPECT_EQ(text_of(R"({"type": "StripAccents"})", "e\u0301"), "e");
  EXPECT_EQ(text_of(R"({"type": "Prepend", "prepend": "_"})", "a"), "_a");
  EXPECT_EQ(text_of(R"({"type": "Prepend", "prepend": "_"})", ""), "");
  EXPECT_EQ(text_of(R"({"type": "Replace", "pattern": {"String": "a."}, "content": "b"})", "a.ax"), "bax");
  EXPECT_EQ(text_of(R"({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})", "a   b"), "a b");
  EXPECT_EQ(text_of(R"({"type": "Nmt"})", "a\u200Bb\u0001"), "a b");
}

TEST(NormalizerTest, StripTakesTheSidesThatItNames) {
  EXPECT_EQ(text_of(R"({"type": "Strip", "strip_left": true, "strip_right": true})", " a b "), "a b");
  EXPECT_EQ(text_of(R"({"type": "Strip", "strip_left": true, "strip_right": false})", " a "), "a ");
  EXPECT_EQ(text_of(R"({"type": "Strip", "strip_left": false, "strip_right": true})", "   "), "");
}

TEST(NormalizerTest, BertCleansSpacesIdeographsAndAccents) {
  const std::string bert = R"({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                               "strip_accents": null, "lowercase": true})";
  EXPECT_EQ(text_of(bert, "Caf\u00E9\t\u4F60\uFFFD"), "cafe  \u4F60 ");
}

TEST(NormalizerTest, SequencesRunInOrder) {
  EXPECT_EQ(text_of(R"({"type": "Sequence", "normalizers": [{"type": "Lowercase"},
                        {"type": "Replace", "pattern": {"String": "a"}, "content": "B"}]})",
                    "Aa"),
            "BB");
}

TEST(NormalizerTest, EveryByteKnowsWhereItCameFrom) {
  const AlignedText text = normalized(R"({"type": "NFKC"})", "x\uFB01y");
  ASSERT_EQ(text.text(), "xfiy");
  EXPECT_EQ(text.origin(1, 2), (ByteRange{1, 4}));
  EXPECT_EQ(text.origin(2, 3), (ByteRange{1, 4}));
  EXPECT_EQ(text.origin(3, 4), (ByteRange{4, 5}));
}

TEST(NormalizerTest, AnEndlessRunOfMarksTakesNoQuadraticTime) {
  std::string marks = "a";
  for (int i = 0; i < 100'000; ++i) {
    marks += "\u0301\u0316";  // sorted by insertion they would take 10^10 steps
  }
  EXPECT_EQ(text_of(R"({"type": "NFD"})", marks).size(), marks.size());
}

TEST(NormalizerTest, UnknownStepsAreRefusedByName) {
  try {
    text_of(R"({"type": "Sequence", "normalizers": [{"type": "Rot13"}]})", "");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("Rot13"));
  }
}

}  // namespace
}  // namespace refrag

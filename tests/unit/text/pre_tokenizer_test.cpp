#include "text/pre_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace refrag {
namespace {

using ::testing::ElementsAre;

Words cut(const std::string& json, const std::string& text, std::uint32_t first = 0) {
  const Json parsed = parse_json(json, "test");
  return PreTokenizer(JsonReader(parsed, "pre_tokenizer", ErrorCode::kCorrupt))(AlignedText(text, first));
}

std::vector<std::string> words(const std::string& json, const std::string& text, std::uint32_t first = 0) {
  const Words cut_words = cut(json, text, first);
  std::vector<std::string> found;
  for (const Span& span : cut_words.spans) {
    found.push_back(cut_words.text.text().substr(span.begin, span.end - span.begin));
  }
  return found;
}

std::string split(const std::string& behavior, const std::string& invert = "false") {
  return R"({"type": "Split", "pattern": {"String": "-"}, "behavior": ")" + behavior + R"(", "invert": )" + invert +
         "}";
}

TEST(PreTokenizerTest, DelimitersBehaveAsTokenizersNamesThem) {
  const std::string text = "the-final--countdown";
  EXPECT_THAT(words(split("Removed"), text), ElementsAre("the", "final", "countdown"));
  EXPECT_THAT(words(split("Isolated"), text), ElementsAre("the", "-", "final", "-", "-", "countdown"));
  EXPECT_THAT(words(split("MergedWithPrevious"), text), ElementsAre("the-", "final-", "-", "countdown"));
  EXPECT_THAT(words(split("MergedWithNext"), text), ElementsAre("the", "-final", "-", "-countdown"));
  EXPECT_THAT(words(split("Contiguous"), text), ElementsAre("the", "-", "final", "--", "countdown"));
  EXPECT_THAT(words(split("Removed", "true"), text), ElementsAre("-", "-", "-"));
}

TEST(PreTokenizerTest, ByteLevelSpellsBytesInGpt2sAlphabet) {
  EXPECT_THAT(words(R"({"type": "ByteLevel", "add_prefix_space": false})", "it's é"), ElementsAre("it", "'s", "ĠÃ©"));
  EXPECT_THAT(words(R"({"type": "ByteLevel", "add_prefix_space": true, "use_regex": false})", "a b"),
              ElementsAre("ĠaĠb"));
}

TEST(PreTokenizerTest, DigitsStandAloneOrTogether) {
  EXPECT_THAT(words(R"({"type": "Digits", "individual_digits": true})", "a12½"), ElementsAre("a", "1", "2", "½"));
  EXPECT_THAT(words(R"({"type": "Digits", "individual_digits": false})", "a12b"), ElementsAre("a", "12", "b"));
}

TEST(PreTokenizerTest, MetaspacePrefixesEveryWordTheFirstOrNone) {
  const auto metaspace = [](const std::string& scheme) {
    return R"({"type": "Metaspace", "replacement": "▁", "prepend_scheme": ")" + scheme + "\"}";
  };
  EXPECT_THAT(words(metaspace("always"), "a b", 7), ElementsAre("▁a", "▁b"));
  EXPECT_THAT(words(metaspace("first"), "a b", 7), ElementsAre("a", "▁b"));
  EXPECT_THAT(words(metaspace("first"), "a b"), ElementsAre("▁a", "▁b"));
  EXPECT_THAT(words(metaspace("never"), "a b"), ElementsAre("a", "▁b"));
  EXPECT_THAT(words(metaspace("always"), " a"), ElementsAre("▁a"));
}

TEST(PreTokenizerTest, BertCutsAtSpaceAndPunctuation) {
  EXPECT_THAT(words(R"({"type": "BertPreTokenizer"})", "Hi, you$"), ElementsAre("Hi", ",", "you", "$"));
}

TEST(PreTokenizerTest, WhitespaceKeepsWordsAndRunsOfOthers) {
  EXPECT_THAT(words(R"({"type": "Whitespace"})", "a_b ... c"), ElementsAre("a_b", "...", "c"));
  EXPECT_THAT(words(R"({"type": "WhitespaceSplit"})", "a_b ...c"), ElementsAre("a_b", "...c"));
}

TEST(PreTokenizerTest, WordsKnowWhereTheyCameFrom) {
  const Words found = cut(R"({"type": "ByteLevel", "add_prefix_space": true})", "é b", 10);
  ASSERT_EQ(found.spans.size(), 2U);
  EXPECT_EQ(found.text.origin(found.spans[0].begin, found.spans[0].end), (ByteRange{10, 12}));
  EXPECT_EQ(found.text.origin(found.spans[1].begin, found.spans[1].end), (ByteRange{12, 14}));
}

TEST(PreTokenizerTest, UnknownStepsAreRefusedByName) {
  try {
    words(R"({"type": "UnicodeScripts"})", "");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(error.what(), ::testing::HasSubstr("UnicodeScripts"));
  }
}

}  // namespace
}  // namespace refrag

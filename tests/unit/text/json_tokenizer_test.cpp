#include "text/json_tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Characters "a" to "d", "▁", "ab", and two added tokens; LLaMA's normalizer and decoder.
Json small() {
  return parse_json(R"({
    "added_tokens": [{"id": 0, "content": "<unk>", "special": true, "normalized": false},
                     {"id": 8, "content": "<end>", "special": true, "normalized": false},
                     {"id": 9, "content": "<tool>", "special": false, "normalized": false}],
    "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]},
    "pre_tokenizer": null,
    "post_processor": {"type": "TemplateProcessing",
        "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<end>", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<end>": {"id": "<end>", "ids": [8], "tokens": ["<end>"]}}},
    "decoder": {"type": "Sequence", "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
    "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true,
              "vocab": {"<unk>": 0, "a": 1, "b": 2, "c": 3, "d": 4, "▁": 5, "ab": 6, "▁a": 7},
              "merges": ["a b", "▁ a"]}})",
                    "test");
}

std::shared_ptr<const Tokenizer> make(const Json& json, const TokenizerConfig& config = {}) {
  return make_json_tokenizer(json, config, "tokenizer.json: ", "identity");
}

TEST(JsonTokenizerTest, TextBecomesIdsAndComesBack) {
  const auto tokenizer = make(small());
  EXPECT_THAT(tokenizer->encode("ab cd"), ElementsAre(5, 6, 5, 3, 4));
  EXPECT_THAT(tokenizer->encode_for_model("c"), ElementsAre(5, 3, 8));
  EXPECT_EQ(tokenizer->decode({5, 6, 5, 3, 4, 8}), "ab cd");
  EXPECT_EQ(tokenizer->decode({5, 3, 8}, false), "c<end>");
  EXPECT_EQ(tokenizer->decode({5, 3, 77, -1}), "c");
}

// `tokenizers` 0.23 knows special tokens by their spelling, which the normalizer changes here.
TEST(JsonTokenizerTest, ASpecialTokenThatIsRespeltByTheNormalizerIsShown) {
  Json json = small();
  json["added_tokens"][1]["normalized"] = true;
  EXPECT_EQ(make(json)->decode({5, 3, 8}), "c <end>");
}

TEST(JsonTokenizerTest, MergesReachOverSpacesWhereATokenDoes) {
  Json json = small();
  json["model"]["vocab"]["b▁"] = 10;
  json["model"]["merges"].insert(json["model"]["merges"].begin(), "b ▁");
  EXPECT_THAT(make(json)->encode("ab ab"), ElementsAre(7, 10, 6));
  EXPECT_THAT(make(small())->encode("ab ab"), ElementsAre(5, 6, 5, 6));
}

TEST(JsonTokenizerTest, SpecialTokensAreFoundInPiecesThatAllowThem) {
  const auto tokenizer = make(small());
  EXPECT_THAT(tokenizer->encode("c<end>c", SpecialTokens::kParse), ElementsAre(5, 3, 8, 5, 3));
  EXPECT_THAT(tokenizer->encode("c<end>"), ::testing::Not(::testing::Contains(8)));
  const std::vector<TextPiece> pieces = {{"a<en", SpecialTokens::kParse}, {"d>", SpecialTokens::kAsText}};
  EXPECT_THAT(tokenizer->encode_pieces(pieces).ids, ::testing::Not(::testing::Contains(8)));
}

TEST(JsonTokenizerTest, TokensSpanTheBordersOfPieces) {
  const auto tokenizer = make(small());
  EXPECT_THAT(tokenizer->encode_pieces({{"ca", SpecialTokens::kParse}, {"bc", SpecialTokens::kAsText}}).ids,
              ElementsAre(5, 3, 6, 3));
}

TEST(JsonTokenizerTest, AddedTokensThatAreNotSpecialAreFoundInUserTextToo) {
  EXPECT_THAT(make(small())->encode("a<tool>"), ElementsAre(7, 9));
}

TEST(JsonTokenizerTest, TokensThatTheConfigurationNamesAreSpecial) {
  TokenizerConfig config;
  config.special["eos_token"] = "<tool>";
  const auto tokenizer = make(small(), config);
  EXPECT_THAT(tokenizer->encode("a<tool>"), ::testing::Not(::testing::Contains(9)));
  EXPECT_TRUE(tokenizer->is_special(9));
  EXPECT_EQ(tokenizer->eos(), 9);
}

TEST(JsonTokenizerTest, RangesAreBytesOfTheTextThatWasGiven) {
  const auto tokenizer = make(small());
  const Encoding encoding = tokenizer->encode_with_ranges("ab \xFF é<end>", SpecialTokens::kParse);
  // "▁", "ab", "▁", U+FFFD (3 bytes), "▁", "é", "<end>"
  EXPECT_THAT(encoding.ids, ElementsAre(5, 6, 5, 0, 5, 0, 8));
  EXPECT_THAT(encoding.ranges, ElementsAre(ByteRange{0, 0}, ByteRange{0, 2}, ByteRange{2, 3}, ByteRange{3, 6},
                                           ByteRange{6, 7}, ByteRange{7, 9}, ByteRange{9, 14}));
}

TEST(JsonTokenizerTest, TruncationAndPaddingOfTheFileAreIgnored) {
  Json json = small();
  json["truncation"] = {{"max_length", 2}};
  json["padding"] = {{"strategy", {{"Fixed", 128}}}};
  EXPECT_EQ(make(json)->encode("abcdabcd").size(), 7U);
}

TEST(JsonTokenizerTest, UnknownPartsAreRefusedByNameAndPlace) {
  for (const char* part : {"normalizer", "pre_tokenizer", "post_processor", "decoder", "model"}) {
    Json json = small();
    json[part]["type"] = "Unheard";
    json[part]["vocab"] = json[part].value("vocab", Json());
    try {
      make(json);
      FAIL() << part;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << part;
      EXPECT_THAT(error.what(), HasSubstr("Unheard"));
      EXPECT_THAT(error.what(), HasSubstr(part));
    }
  }
}

TEST(JsonTokenizerTest, BrokenVocabulariesAreRefused) {
  for (const char* vocab : {R"({"a": 1, "b": 1})", R"({"a": -1})", R"({"a": 99999999999})", R"(["a"])", "null"}) {
    Json json = small();
    json["model"]["vocab"] = parse_json(vocab, "test");
    EXPECT_THROW(make(json), Error) << vocab;
  }
}

}  // namespace
}  // namespace refrag

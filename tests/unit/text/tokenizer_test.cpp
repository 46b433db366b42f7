#include "text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/files.h"
#include "refrag/error.h"
#include "support/sentencepiece_file.h"
#include "text/prompt_pieces.h"
#include "text/tokenizer_config.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kVocabFile = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n##s\nworld\ncafe\nCaf\u00E9\n";

class TokenizerTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& content) {
    write_file_atomic(directory_.path() / name, content);
  }
  std::shared_ptr<const Tokenizer> load() const { return Tokenizer::load(directory_.path()); }
  std::string refusal() const {
    try {
      load();
    } catch (const Error& error) {
      return error.what();
    }
    return "loaded";
  }
  TemporaryDirectory directory_;
};

TEST_F(TokenizerTest, ADirectoryWithoutATokenizerIsRefused) {
  try {
    load();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("tokenizer.json"));
  }
}

TEST_F(TokenizerTest, TokenizerModelComesBeforeTokenizerJsonBeforeVocabTxt) {
  write("vocab.txt", kVocabFile);
  EXPECT_EQ(load()->id_of("world"), 7);
  write("tokenizer.json", R"({"model": {"type": "BPE", "vocab": {"x": 0}, "merges": []}})");
  EXPECT_EQ(load()->id_of("x"), 0);
  write("tokenizer.model", testing::SentencePieceFile().with({{"y", -1}}).str());
  EXPECT_EQ(load()->id_of("y"), 3);
}

TEST_F(TokenizerTest, VocabTxtIsBertsWordPiece) {
  write("vocab.txt", kVocabFile);
  const auto tokenizer = load();
  EXPECT_THAT(tokenizer->encode_for_model("Hellos, world"), ElementsAre(2, 5, 6, 1, 7, 3));
  EXPECT_THAT(tokenizer->encode("Caf\u00E9"), ElementsAre(8));
  EXPECT_THAT(tokenizer->encode_pair("hello", "world").type_ids, ElementsAre(0, 0, 0, 1, 1));
  EXPECT_THAT(tokenizer->encode("[SEP]"), ::testing::Not(::testing::Contains(3)));
  EXPECT_EQ(tokenizer->pad(), 0);
  EXPECT_EQ(tokenizer->eos(), 3);
}

TEST_F(TokenizerTest, VocabTxtObeysTheConfiguration) {
  write("vocab.txt", kVocabFile);
  const std::string lower = load()->identity();
  write("tokenizer_config.json", R"({"do_lower_case": false})");
  EXPECT_THAT(load()->encode("Caf\u00E9"), ElementsAre(9));
  EXPECT_NE(load()->identity(), lower);
}

TEST_F(TokenizerTest, BrokenFilesAreRefusedByName) {
  write("vocab.txt", "hello\n");
  EXPECT_THAT(refusal(), HasSubstr("vocab.txt has no \"[CLS]\""));
  write("vocab.txt", "\xFF");
  EXPECT_THAT(refusal(), HasSubstr("not UTF-8"));
  write("tokenizer.json", "{");
  EXPECT_THAT(refusal(), HasSubstr("tokenizer.json"));
}

TEST_F(TokenizerTest, ConfigurationsAreReadFromAllThreeFiles) {
  write("special_tokens_map.json", R"({"eos_token": "<a>", "pad_token": {"content": "<p>"}, "bos_token": null})");
  write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": true, "eos_token": "<b>",
      "legacy": null, "additional_special_tokens": ["<x>"], "added_tokens_decoder": {"7": {"content": "<x>"}}})");
  write("added_tokens.json", R"({"<y>": 5, "<x>": 7})");
  const TokenizerConfig config = TokenizerConfig::load(directory_.path());
  EXPECT_EQ(config.special_token("eos_token"), "<b>");
  EXPECT_EQ(config.special_token("pad_token"), "<p>");
  EXPECT_EQ(config.special_token("bos_token"), std::nullopt);
  EXPECT_EQ(config.adds_bos, true);
  EXPECT_EQ(config.adds_eos, std::nullopt);
  EXPECT_TRUE(config.is_legacy);
  ASSERT_EQ(config.added.size(), 2U);
  EXPECT_EQ(config.added[0].content, "<y>");
  EXPECT_EQ(config.added[1].id, 7);
}

TEST_F(TokenizerTest, ConfigurationsWithWrongTypesAreRefusedByField) {
  write("vocab.txt", kVocabFile);
  write("tokenizer_config.json", R"({"do_lower_case": "yes"})");
  EXPECT_THAT(refusal(), HasSubstr("do_lower_case"));
  write("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "a"}}})");
  EXPECT_THAT(refusal(), HasSubstr("added_tokens_decoder"));
}

TEST_F(TokenizerTest, IncrementalTextGoesOnFromAPromptWithItsSpace) {
  write("tokenizer.model", testing::SentencePieceFile().with({{"▁a", -1}}).with_bytes().str());
  const auto tokenizer = load();
  IncrementalDecoder at_start(tokenizer);
  EXPECT_EQ(at_start.add(3), "a");
  IncrementalDecoder going_on(tokenizer, false);
  EXPECT_EQ(going_on.add(3), " a");
  EXPECT_EQ(going_on.add(4 + 0xC3), "");
  EXPECT_EQ(going_on.finish(), "\uFFFD");
}

TEST(JoinedPiecesTest, SpecialTokensMayStandInPiecesOfOursThatTouch) {
  const JoinedPieces pieces({{"ab", SpecialTokens::kParse},
                             {"", SpecialTokens::kAsText},
                             {"cd", SpecialTokens::kParse},
                             {"ef", SpecialTokens::kAsText}});
  EXPECT_EQ(pieces.text(), "abcdef");
  EXPECT_TRUE(pieces.allows_special(1, 3));
  EXPECT_FALSE(pieces.allows_special(3, 5));
  EXPECT_FALSE(pieces.allows_special(4, 6));
}

TEST(JoinedPiecesTest, TidyRangesNeverCutACharacter) {
  EXPECT_THAT(tidy_ranges("é!", {{0, 1}, {1, 2}, {2, 3}}),
              ElementsAre(ByteRange{0, 2}, ByteRange{2, 2}, ByteRange{2, 3}));
}

}  // namespace
}  // namespace refrag

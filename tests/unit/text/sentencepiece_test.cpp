// SentencePiece model files: what is refused, and how text is cut. The golden vectors cover real models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "base/files.h"
#include "refrag/error.h"
#include "support/sentencepiece_file.h"
#include "text/sentencepiece_encoder.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ProtoWriter;
using testing::SentencePieceFile;

constexpr int kUserDefined = SentencePieceFile::kUserDefined;
constexpr int kUnused = SentencePieceFile::kUnused;

SentencePieceFile words() {
  return SentencePieceFile().with({{"▁", -3}, {"a", -2}, {"b", -2}, {"ab", -1}, {"▁a", -1}});
}

std::vector<std::string> cut(const SentencePieceFile& file, const std::string& text) {
  const SentencePieceModel model = SentencePieceModel::read(file.str(), "test");
  std::vector<std::string> pieces;
  for (const auto& piece : SentencePieceEncoder(model, "test").encode(text, 0, true)) {
    pieces.push_back(model.pieces[static_cast<std::size_t>(piece.id)].text);
  }
  return pieces;
}

std::string refusal_of(const std::string& file) {
  try {
    SentencePieceModel::read(file, "tokenizer.model");
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

std::shared_ptr<const Tokenizer> load(const SentencePieceFile& file, const std::string& config) {
  const TemporaryDirectory directory;
  write_file_atomic(directory.path() / "tokenizer.model", file.str());
  if (!config.empty()) {
    write_file_atomic(directory.path() / "tokenizer_config.json", config);
  }
  return Tokenizer::load(directory.path());
}

TEST(SentencePieceModelTest, BrokenFilesAreRefusedSayingWhy) {
  EXPECT_THAT(refusal_of(words().str().substr(0, 20)), HasSubstr("ends in the middle"));
  EXPECT_THAT(refusal_of("this is no model"), HasSubstr("not a SentencePiece model"));
  EXPECT_THAT(refusal_of(""), HasSubstr("0 pieces"));
  EXPECT_THAT(refusal_of(words().with({{"a", 0}}).str()), HasSubstr("\"a\" twice"));
  EXPECT_THAT(refusal_of(words().with({{"", 0}}).str()), HasSubstr("0 bytes"));
  EXPECT_THAT(refusal_of(words().with({{"\xFF", 0}}).str()), HasSubstr("not UTF-8"));
  EXPECT_THAT(refusal_of(words().with({{"x", std::numeric_limits<float>::quiet_NaN()}}).str()), HasSubstr("score"));
  EXPECT_THAT(refusal_of(words().with({{"x", 0, 9}}).str()), HasSubstr("type 9"));
  EXPECT_THAT(refusal_of(words().with({{"<0x00>", 0, SentencePieceFile::kByte}}).str()), HasSubstr("byte pieces"));
  EXPECT_THAT(refusal_of(words().with({{"<u>", 0, SentencePieceFile::kUnknown}}).str()), HasSubstr("2 unknown"));
}

TEST(SentencePieceModelTest, OptionsThatAreNotKnownAreRefusedByName) {
  EXPECT_THAT(refusal_of(words().str() + ProtoWriter().bytes(2, ProtoWriter().number(3, 4).str()).str()),
              HasSubstr("model_type char"));
  EXPECT_THAT(refusal_of(words().str() + ProtoWriter().bytes(2, ProtoWriter().number(24, 1).str()).str()),
              HasSubstr("treat_whitespace_as_suffix"));
  EXPECT_THAT(refusal_of(words().str() + ProtoWriter().bytes(5, ProtoWriter().bytes(2, "x").str()).str()),
              HasSubstr("denormalizer_spec"));
}

TEST(SentencePieceEncoderTest, UnigramTakesTheBestSumOfScores) {
  EXPECT_THAT(cut(words(), "ab"), ElementsAre("▁a", "b"));  // -3; "▁" and "ab" are -4
  EXPECT_THAT(cut(words(), "aab"), ElementsAre("▁a", "ab"));
}

TEST(SentencePieceEncoderTest, BpeMergesTheBestPairFirst) {
  SentencePieceFile file = SentencePieceFile().with({{"a", -9}, {"b", -9}, {"c", -9}, {"bc", -1}, {"ab", -2}});
  file.is_bpe = true;
  file.dummy_prefix = false;
  EXPECT_THAT(cut(file, "abc"), ElementsAre("a", "bc"));
  EXPECT_THAT(cut(file, "abab"), ElementsAre("ab", "ab"));
}

TEST(SentencePieceEncoderTest, UnusedPiecesAreWayPointsOfMerges) {
  SentencePieceFile file =
      SentencePieceFile().with({{"a", -9}, {"b", -9}, {"c", -9}, {"ab", -1, kUnused}, {"abc", -2}});
  file.is_bpe = true;
  file.dummy_prefix = false;
  EXPECT_THAT(cut(file, "abc"), ElementsAre("abc"));
  EXPECT_THAT(cut(file, "abab"), ElementsAre("a", "b", "a", "b"));
}

TEST(SentencePieceEncoderTest, UserDefinedPiecesAlwaysStandAlone) {
  for (const bool is_bpe : {false, true}) {
    SentencePieceFile file = words().with({{"ba", -90, kUserDefined}});
    file.is_bpe = is_bpe;
    EXPECT_THAT(cut(file, "aba"), ElementsAre("▁a", "ba")) << is_bpe;
  }
}

TEST(SentencePieceEncoderTest, UnknownCharactersAreOneTokenOrBytes) {
  EXPECT_THAT(cut(words(), "xya"), ElementsAre("▁", "<unk>", "a"));
  EXPECT_THAT(cut(words().with_bytes(), "é"), ElementsAre("▁", "<0xC3>", "<0xA9>"));
}

TEST(SentencePieceEncoderTest, ExtraSpacesAreRemovedWhereTheModelSaysSo) {
  SentencePieceFile file = words();
  EXPECT_THAT(cut(file, " a  a "), ElementsAre("▁", "▁a", "▁", "▁a", "▁"));
  file.remove_extra_spaces = true;
  EXPECT_THAT(cut(file, " a  a "), ElementsAre("▁a", "▁a"));
  EXPECT_THAT(cut(file, "   "), ElementsAre());
}

TEST(SentencePieceTokenizerTest, EveryPieceKnowsItsBytesAndNoneCutsACharacter) {
  const auto tokenizer = load(words().with_bytes(), "");
  const Encoding encoding = tokenizer->encode_with_ranges("aéa");
  EXPECT_THAT(encoding.ranges, ElementsAre(ByteRange{0, 1}, ByteRange{1, 3}, ByteRange{3, 3}, ByteRange{3, 4}));
}

TEST(SentencePieceTokenizerTest, ControlPiecesInUserTextAreText) {
  const auto tokenizer = load(words().with_bytes(), "");
  const std::vector<TokenId> as_text = tokenizer->encode("</s>");
  EXPECT_THAT(as_text, ::testing::Not(::testing::Contains(2)));
  EXPECT_EQ(tokenizer->decode(as_text), "</s>");
  EXPECT_THAT(tokenizer->encode("</s>", SpecialTokens::kParse), ElementsAre(2));
}

TEST(SentencePieceTokenizerTest, BosAndEosFollowTheConfiguration) {
  const auto plain = load(words(), "");
  EXPECT_EQ(plain->encode_for_model("a").front(), 1);
  EXPECT_EQ(plain->bos(), 1);
  EXPECT_EQ(plain->eos(), 2);
  const auto other = load(words(), R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": false,
                                       "add_eos_token": true, "eos_token": {"content": "<s>"}})");
  EXPECT_EQ(other->bos(), std::nullopt);
  EXPECT_EQ(other->encode_for_model("a").back(), 1);
}

TEST(SentencePieceTokenizerTest, XlmRobertasIdsAreShifted) {
  const auto tokenizer = load(words(), R"({"tokenizer_class": "XLMRobertaTokenizerFast"})");
  EXPECT_THAT(tokenizer->encode_for_model("ax"), ElementsAre(0, 8, 3, 2));
  EXPECT_EQ(tokenizer->id_of("<mask>"), 9);
  EXPECT_EQ(tokenizer->pad(), 1);
  EXPECT_THAT(tokenizer->encode_pair("a", "a").ids, ElementsAre(0, 8, 2, 2, 8, 2));
}

TEST(SentencePieceTokenizerTest, OnlyLegacyTokenizersPutASpaceAfterSpecialTokens) {
  const auto legacy = load(words(), R"({"legacy": true})");
  const auto current = load(words(), R"({"legacy": false})");
  EXPECT_THAT(legacy->encode("a</s>a", SpecialTokens::kParse), ElementsAre(7, 2, 7));
  EXPECT_THAT(current->encode("a</s>a", SpecialTokens::kParse), ElementsAre(7, 2, 4));
}

TEST(SentencePieceTokenizerTest, AddedTokensAreFoundInAnyTextUnlessSpecial) {
  const auto tokenizer = load(words(), R"({"added_tokens_decoder": {
      "8": {"content": "<|im_end|>", "special": true}, "9": {"content": "<tool>", "special": false}}})");
  EXPECT_EQ(tokenizer->vocab_size(), 10U);
  EXPECT_THAT(tokenizer->encode("<tool><|im_end|>"), ::testing::Not(::testing::Contains(8)));
  EXPECT_EQ(tokenizer->encode("<tool><|im_end|>").front(), 9);
  EXPECT_THAT(tokenizer->encode("<tool><|im_end|>", SpecialTokens::kParse), ElementsAre(9, 8));
}

TEST(SentencePieceTokenizerTest, ClassesWithOtherNumberingsAreRefusedByName) {
  try {
    load(words(), R"({"tokenizer_class": "CamembertTokenizer"})");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(error.what(), HasSubstr("CamembertTokenizer"));
  }
}

TEST(SentencePieceTokenizerTest, TheIdentityFollowsWhatDecidesTheIds) {
  const std::string plain = load(words(), "")->identity();
  EXPECT_EQ(plain.size(), 64U);
  EXPECT_EQ(load(words(), R"({"chat_template": "x"})")->identity(), plain);
  EXPECT_NE(load(words(), R"({"add_bos_token": false})")->identity(), plain);
  EXPECT_NE(load(words().with({{"z", -1}}), "")->identity(), plain);
}

}  // namespace
}  // namespace refrag

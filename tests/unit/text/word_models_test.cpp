// The three models of tokenizer.json, each on a vocabulary small enough to follow by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text/bpe_model.h"
#include "text/unigram_model.h"
#include "text/wordpiece_model.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;

/// The tokens "0", "1", ... of a vocabulary given as a list.
Vocabulary vocabulary_of(const std::vector<std::string>& tokens) {
  Vocabulary vocabulary;
  for (const std::string& token : tokens) {
    vocabulary.add(token, static_cast<TokenId>(vocabulary.size()), "test");
  }
  return vocabulary;
}

std::vector<std::string> cut(const WordModel& model, const Vocabulary& vocabulary, const std::string& word) {
  std::vector<WordToken> tokens;
  model.tokenize(word, tokens);
  std::vector<std::string> spelt;
  for (const WordToken& token : tokens) {
    spelt.push_back(vocabulary.token_of(token.id));
  }
  return spelt;
}

template <typename Model>
std::vector<std::string> cut(const std::string& json, const Vocabulary& vocabulary, const std::string& word) {
  const Json parsed = parse_json(json, "test");
  JsonReader reader(parsed, "model", ErrorCode::kCorrupt);
  return cut(Model(reader, vocabulary), vocabulary, word);
}

TEST(BpeModelTest, MergesApplyInTheirOrderNotLeftToRight) {
  const Vocabulary vocabulary = vocabulary_of({"a", "b", "c", "bc", "ab", "abc"});
  const std::string json = R"({"merges": ["b c", ["a", "b"], "ab c"]})";
  EXPECT_THAT(cut<BpeModel>(json, vocabulary, "abc"), ElementsAre("a", "bc"));
  EXPECT_THAT(cut<BpeModel>(json, vocabulary, "abab"), ElementsAre("ab", "ab"));
}

TEST(BpeModelTest, WholeWordsWinWhereMergesAreIgnored) {
  const Vocabulary vocabulary = vocabulary_of({"a", "b", "ab"});
  EXPECT_THAT(cut<BpeModel>(R"({"merges": []})", vocabulary, "ab"), ElementsAre("a", "b"));
  EXPECT_THAT(cut<BpeModel>(R"({"merges": [], "ignore_merges": true})", vocabulary, "ab"), ElementsAre("ab"));
}

TEST(BpeModelTest, UnknownCharactersFuseFallBackToBytesOrVanish) {
  std::vector<std::string> tokens = {"<unk>", "a", "<0xC3>", "<0xA9>"};
  const Vocabulary vocabulary = vocabulary_of(tokens);
  EXPECT_THAT(cut<BpeModel>(R"({"merges": [], "unk_token": "<unk>", "fuse_unk": true})", vocabulary, "axya"),
              ElementsAre("a", "<unk>", "a"));
  EXPECT_THAT(cut<BpeModel>(R"({"merges": [], "unk_token": "<unk>"})", vocabulary, "xy"),
              ElementsAre("<unk>", "<unk>"));
  EXPECT_THAT(cut<BpeModel>(R"({"merges": [], "byte_fallback": true, "unk_token": "<unk>"})", vocabulary, "éx"),
              ElementsAre("<0xC3>", "<0xA9>", "<unk>"));
  EXPECT_THAT(cut<BpeModel>(R"({"merges": []})", vocabulary, "xa"), ElementsAre("a"));
}

TEST(BpeModelTest, NoMergeGivesASpecialToken) {
  Vocabulary vocabulary = vocabulary_of({"<", "s", ">", "<s", "<s>"});
  vocabulary.reserve_token(4);
  EXPECT_THAT(cut<BpeModel>(R"({"merges": ["< s", "<s >"], "ignore_merges": true})", vocabulary, "<s>"),
              ElementsAre("<s", ">"));
}

TEST(BpeModelTest, TheCacheGivesWhatTheMergesGave) {
  const Vocabulary vocabulary = vocabulary_of({"a", "b", "ab"});
  const Json parsed = parse_json(R"({"merges": ["a b"]})", "test");
  JsonReader reader(parsed, "model", ErrorCode::kCorrupt);
  const BpeModel model(reader, vocabulary);
  EXPECT_EQ(cut(model, vocabulary, "abab"), cut(model, vocabulary, "abab"));
}

TEST(BpeModelTest, AMillionCharactersInOneWordTakeNoQuadraticTime) {
  const Vocabulary vocabulary = vocabulary_of({"a", "aa", "aaaa"});
  EXPECT_EQ(cut<BpeModel>(R"({"merges": ["a a", "aa aa"]})", vocabulary, std::string(200'000, 'a')).size(), 50'000U);
}

TEST(BpeModelTest, MergesOfUnknownTokensAndUnknownOptionsAreRefused) {
  const Vocabulary vocabulary = vocabulary_of({"a", "b"});
  for (const char* json : {R"({"merges": ["a b"]})", R"({"merges": ["a"]})", R"({"merges": 1})", R"({})",
                           R"({"merges": [], "end_of_word_suffix": "</w>"})", R"({"merges": [], "dropout": 0.1})",
                           R"({"merges": [], "unk_token": "?"})"}) {
    EXPECT_THROW(cut<BpeModel>(json, vocabulary, "a"), Error) << json;
  }
}

TEST(UnigramModelTest, TheBestSumOfScoresWins) {
  const Vocabulary vocabulary = vocabulary_of({"<unk>", "a", "b", "c", "d", "cd", "ab", "abc", "abcd"});
  const std::string json = R"({"unk_id": 0, "vocab": [["<unk>", 0], ["a", 0], ["b", 0], ["c", 0], ["d", 0], ["cd", 1],
                                                       ["ab", 2], ["abc", 5], ["abcd", 10]]})";
  EXPECT_THAT(cut<UnigramModel>(json, vocabulary, "abcdacdxx"), ElementsAre("abcd", "a", "cd", "<unk>"));
}

TEST(UnigramModelTest, UnknownCharactersFallBackToBytesWhereTheyAreThere) {
  const Vocabulary vocabulary = vocabulary_of({"<unk>", "a", "<0xC3>", "<0xA9>"});
  const std::string json = R"({"unk_id": 0, "byte_fallback": true, "vocab": [["<unk>", 0], ["a", -1],
                                                                             ["<0xC3>", -5], ["<0xA9>", -5]]})";
  EXPECT_THAT(cut<UnigramModel>(json, vocabulary, "aé"), ElementsAre("a", "<0xC3>", "<0xA9>"));
  EXPECT_THAT(cut<UnigramModel>(json, vocabulary, "aéx"), ElementsAre("a", "<unk>"));
}

TEST(UnigramModelTest, SpecialTokensAreNoPieces) {
  Vocabulary vocabulary = vocabulary_of({"<unk>", "<s>", "<", "s", ">"});
  vocabulary.reserve_token(1);
  const std::string json = R"({"unk_id": 0, "vocab": [["<unk>", 0], ["<s>", 0], ["<", -9], ["s", -9], [">", -9]]})";
  EXPECT_THAT(cut<UnigramModel>(json, vocabulary, "<s>"), ElementsAre("<", "s", ">"));
}

TEST(WordPieceModelTest, TheLongestPieceComesFirst) {
  const Vocabulary vocabulary = vocabulary_of({"[UNK]", "un", "##aff", "##able", "##a", "una"});
  EXPECT_THAT(cut<WordPieceModel>("{}", vocabulary, "unaffable"),
              ElementsAre("[UNK]"));  // "una" comes first, and "##ff" is no token
  EXPECT_THAT(cut<WordPieceModel>("{}", vocabulary, "unable"), ElementsAre("[UNK]"));
  EXPECT_THAT(cut<WordPieceModel>("{}", vocabulary, "una"), ElementsAre("una"));
  EXPECT_THAT(cut<WordPieceModel>("{}", vocabulary, "unaa"), ElementsAre("una", "##a"));
}

TEST(WordPieceModelTest, LongWordsAreUnknown) {
  const Vocabulary vocabulary = vocabulary_of({"[UNK]", "é", "##é"});
  EXPECT_THAT(cut<WordPieceModel>(R"({"max_input_chars_per_word": 2})", vocabulary, "éé"), ElementsAre("é", "##é"));
  EXPECT_THAT(cut<WordPieceModel>(R"({"max_input_chars_per_word": 2})", vocabulary, "ééé"), ElementsAre("[UNK]"));
}

}  // namespace
}  // namespace refrag

#include "text/chunker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "refrag/error.h"
#include "support/piece_tokenizer.h"
#include "text/sentences.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ChunkerTest : public ::testing::Test {
 protected:
  std::vector<Passage> cut(std::string_view text, PassageOptions options) const {
    std::vector<Passage> passages = cut_into_passages(text, tokenizer_, options);
    expect_sound(text, passages, options);
    return passages;
  }

  std::vector<std::string> texts(std::string_view text, PassageOptions options) const {
    std::vector<std::string> texts;
    for (const Passage& passage : cut(text, options)) {
      texts.emplace_back(text.substr(passage.bytes.begin, passage.bytes.end - passage.bytes.begin));
    }
    return texts;
  }

  /// What holds for every text: see chunker.h.
  void expect_sound(std::string_view text, const std::vector<Passage>& passages, const PassageOptions& options) const {
    std::size_t covered = 0;
    for (const Passage& passage : passages) {
      const std::string_view own = text.substr(passage.bytes.begin, passage.bytes.end - passage.bytes.begin);
      if (passage.bytes.begin > covered) {
        EXPECT_EQ(skip_space(text, covered, passage.bytes.begin), passage.bytes.begin) << "text between passages";
      }
      EXPECT_GT(passage.bytes.end, covered) << "a passage that brings nothing new";
      covered = passage.bytes.end;

      std::vector<TokenId> ids;
      std::size_t at = passage.bytes.begin;
      for (const Chunk& chunk : passage.chunks) {
        EXPECT_EQ(chunk.bytes.begin, at);
        EXPECT_LE(chunk.bytes.begin, chunk.bytes.end);
        EXPECT_TRUE(at == text.size() || (static_cast<unsigned char>(text[at]) & 0xC0) != 0x80) << "half a character";
        at = chunk.bytes.end;
        EXPECT_TRUE(chunk.ids.size() == options.chunk_size || &chunk == &passage.chunks.back());
        EXPECT_FALSE(chunk.ids.empty());
        ids.insert(ids.end(), chunk.ids.begin(), chunk.ids.end());
      }
      EXPECT_EQ(at, passage.bytes.end);
      EXPECT_EQ(ids, tokenizer_.encode(own));
      EXPECT_LE(ids.size(), options.passage_tokens);
    }
    EXPECT_EQ(skip_space(text, covered, text.size()), text.size()) << "text after the last passage";
  }

  testing::PieceTokenizer tokenizer_;
};

TEST_F(ChunkerTest, ADocumentThatFitsIsOnePassageToItsLastByte) {
  EXPECT_THAT(texts("Package: moon\nSummary: a rock\n", {.passage_tokens = 10}),
              ElementsAre("Package: moon\nSummary: a rock\n"));
  EXPECT_THAT(texts("\n  a\n\n", {.passage_tokens = 10}), ElementsAre("\n  a\n\n"));
}

TEST_F(ChunkerTest, BlankTextHasNoPassages) {
  EXPECT_THAT(texts("", {}), IsEmpty());
  EXPECT_THAT(texts(" \n\u00A0\n", {}), IsEmpty());
}

TEST_F(ChunkerTest, SentencesFillAPassageUpToItsBudget) {
  EXPECT_THAT(texts("One two three. Four five six. Seven eight nine.", {.passage_tokens = 7}),
              ElementsAre("One two three. Four five six.", "Seven eight nine."));
}

TEST_F(ChunkerTest, ABlankLineIsABetterPlaceToCutThanASentence) {
  EXPECT_THAT(texts("One two. Three four.\n\nFive six. Seven eight. Nine ten.", {.passage_tokens = 8}),
              ElementsAre("One two. Three four.\n", "Five six. Seven eight. Nine ten."));
}

TEST_F(ChunkerTest, AHeadingIsTheBestPlaceToCutAndStaysWithWhatFollows) {
  EXPECT_THAT(texts("One two. Three four.\n\n# Five\nSix seven.\n\nEight nine ten.", {.passage_tokens = 11}),
              ElementsAre("One two. Three four.\n", "# Five\nSix seven.\n\nEight nine ten."));
  EXPECT_THAT(texts("One two three four. Five.\n# Six\nSeven eight nine ten.", {.passage_tokens = 8}),
              ElementsAre("One two three four. Five.\n", "# Six\nSeven eight nine ten."));
}

TEST_F(ChunkerTest, AFarBorderIsNotWorthAHalfEmptyPassage) {
  EXPECT_THAT(texts("One.\n\nTwo three. Four five. Six seven. Eight nine.", {.passage_tokens = 9}),
              ElementsAre("One.\n\nTwo three. Four five. Six seven.", "Eight nine."));
}

TEST_F(ChunkerTest, ALongSentenceIsCutBetweenWords) {
  EXPECT_THAT(texts("one two three four five six seven", {.passage_tokens = 3}),
              ElementsAre("one two three", "four five six", "seven"));
}

TEST_F(ChunkerTest, LinesOfALongSentenceStayWholeWherePossible) {
  EXPECT_THAT(texts("name: moon\nkind: rock\nsize: large\n", {.passage_tokens = 6}),
              ElementsAre("name: moon\nkind: rock\n", "size: large\n"));
}

TEST_F(ChunkerTest, ALongWordIsCutBetweenTokens) {
  EXPECT_THAT(texts("a aaaaaaaabbbbbbbbccccccccdddddddd", {.passage_tokens = 2}),
              ElementsAre("a", "aaaaaaaabbbbbbbb", "ccccccccdddddddd"));
}

TEST_F(ChunkerTest, CharactersAreNeverCut) {
  EXPECT_THAT(texts("ééééé", {.passage_tokens = 5}), ElementsAre("éé", "éé", "é"));
  cut(std::string(3000, 'x') + "日本語のとても長い文章です", {.passage_tokens = 7, .chunk_size = 3});
}

TEST_F(ChunkerTest, ACharacterBelongsToTheChunkOfItsFirstByte) {
  const std::vector<Passage> passages = cut("aéb", {.passage_tokens = 9, .chunk_size = 2});

  ASSERT_EQ(passages.size(), 1U);
  ASSERT_EQ(passages[0].chunks.size(), 2U);  // a é1 | é2 b
  EXPECT_EQ(passages[0].chunks[0].bytes, (ByteRange{0, 3}));
  EXPECT_EQ(passages[0].chunks[1].bytes, (ByteRange{3, 4}));
}

TEST_F(ChunkerTest, WholeSentencesAreRepeatedUpToTheOverlap) {
  EXPECT_THAT(texts("One two. Three four. Five six. Seven eight.", {.passage_tokens = 4, .overlap_tokens = 2}),
              ElementsAre("One two. Three four.", "Three four. Five six.", "Five six. Seven eight."));
}

TEST_F(ChunkerTest, AnOverlapThatLeavesNoRoomIsDropped) {
  EXPECT_THAT(texts("One two. Three four. Five six seven. Eight.", {.passage_tokens = 4, .overlap_tokens = 2}),
              ElementsAre("One two. Three four.", "Five six seven. Eight."));
}

TEST_F(ChunkerTest, EndlessWhiteSpaceIsLeftOut) {
  const std::string gap(100'000, '\n');
  EXPECT_THAT(texts("One." + gap + "Two." + gap, {.passage_tokens = 4}), ElementsAre("One.\n", "Two.\n"));
}

TEST_F(ChunkerTest, BudgetsThatCannotBeKeptAreRefused) {
  for (const PassageOptions options :
       {PassageOptions{.passage_tokens = 0}, PassageOptions{.passage_tokens = 8, .overlap_tokens = 5},
        PassageOptions{.chunk_size = 0}, PassageOptions{.passage_tokens = 1}}) {
    EXPECT_THROW(cut("é", options), Error);
  }
}

TEST_F(ChunkerTest, OddTextsKeepThePromises) {
  const std::vector<std::string> texts = {
      "# only\n## headings\n### here\n",
      "a\n=\nb\n---\n\n---\n",
      std::string(5000, '#'),
      std::string(5000, '.') + " " + std::string(5000, ' ') + "x",
      "\u2028\u2029. \u0085! \u200b? " + std::string(300, 'x') + "\u3000y",
      "e\u0301\u0302\u0303. " + std::string(50, '\t') + "\n\n\n\n. . . . .",
      "\xff\xfe half \xe2\x82 a character \xf0\x9f",
  };
  for (const std::string& text : texts) {
    for (const std::size_t budget : {4U, 5U, 16U, 256U}) {
      for (const std::size_t chunk : {1U, 3U, 16U}) {
        cut(text, {.passage_tokens = budget, .overlap_tokens = budget / 3, .chunk_size = chunk});
      }
    }
  }
}

/// Counts the bytes it is given: the work of cutting, whatever the clock says.
class CountingTokenizer : public testing::PieceTokenizer {
 public:
  Encoding encode_pieces(const std::vector<TextPiece>& pieces) const override {
    for (const TextPiece& piece : pieces) {
      bytes_ += piece.text.size();
    }
    return PieceTokenizer::encode_pieces(pieces);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  mutable std::size_t bytes_ = 0;
};

TEST_F(ChunkerTest, WhatIsTokenizedGrowsLinearlyWithTheText) {
  for (const std::string& pattern :
       {std::string("A short sentence. "), std::string("noend "), std::string("x"), std::string("\u65e5"),
        std::string("word\n\n"), std::string("a aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ")}) {
    std::string text;
    while (text.size() < 300'000) {
      text += pattern;
    }
    const CountingTokenizer counting;
    cut_into_passages(text, counting, {.passage_tokens = 64});
    EXPECT_LT(counting.bytes(), 16 * text.size()) << pattern;
  }
}

TEST(CutIntoChunksTest, EveryChunkHasKTokensButTheLast) {
  const Encoding encoding{{1, 2, 3, 4, 5}, {{0, 1}, {1, 2}, {2, 2}, {2, 5}, {6, 7}}};
  const std::vector<Chunk> chunks = cut_into_chunks(encoding, 2);

  ASSERT_EQ(chunks.size(), 3U);
  EXPECT_THAT(chunks[0].ids, ElementsAre(1, 2));
  EXPECT_EQ(chunks[0].bytes, (ByteRange{0, 2}));
  EXPECT_EQ(chunks[1].bytes, (ByteRange{2, 5}));
  EXPECT_THAT(chunks[2].ids, ElementsAre(5));
  EXPECT_EQ(chunks[2].bytes, (ByteRange{6, 7}));
}

TEST(CutIntoChunksTest, RangesAreNotNeeded) {
  EXPECT_EQ(cut_into_chunks({{1, 2, 3}, {}}, 2).size(), 2U);
  EXPECT_THAT(cut_into_chunks({}, 2), IsEmpty());
  EXPECT_THROW(cut_into_chunks({{1}, {}}, 0), Error);
}

}  // namespace
}  // namespace refrag

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "bench/synthetic_library.h"
#include "retrieve/retriever.h"
#include "store/snapshot.h"
#include "support/errors.h"

namespace refrag::bench {
namespace {

std::shared_ptr<const SyntheticTokenizer> tokenizer() { return std::make_shared<const SyntheticTokenizer>(2048); }

TEST(SyntheticTokenizer, GivesWordsBackAsTheIdsTheyCameFrom) {
  const auto words = tokenizer();
  const std::vector<TokenId> ids = {words->word(0), words->word(27), words->word(words->words() - 1)};
  const std::string text = words->decode(ids, true);
  EXPECT_EQ(text.substr(0, 10), " aaaa aabb");
  EXPECT_EQ(words->encode(text), ids);
  EXPECT_LT(static_cast<std::size_t>(ids.back()), 2048U);
}

TEST(SyntheticTokenizer, SpellsEverythingElseByteByByte) {
  const auto words = tokenizer();
  const Encoding encoding = words->encode_with_ranges("A zzzz");  // beyond its vocabulary
  EXPECT_EQ(encoding.ids.size(), 6U);
  EXPECT_EQ(words->decode(encoding.ids, true), "A zzzz");
  EXPECT_EQ(encoding.ranges.back().end, 6U);
}

TEST(SyntheticTokenizer, NeedsRoomForWords) {
  EXPECT_EQ(testing::error_of([] { SyntheticTokenizer(300); }).code(), ErrorCode::kInvalidArgument);
}

TEST(SyntheticLibrary, PassagesAreTheSameForTheSameSeed) {
  const SyntheticLibrary a(tokenizer(), 3, 2, 7), b(tokenizer(), 3, 2, 7), c(tokenizer(), 3, 2, 8);
  EXPECT_EQ(a.passage_ids(1, 1), b.passage_ids(1, 1));
  EXPECT_NE(a.passage_ids(1, 1), c.passage_ids(1, 1));
  EXPECT_NE(a.passage_ids(1, 1), a.passage_ids(1, 0));
  EXPECT_EQ(a.passage_ids(1, 1).size(), kPassageTokens);
}

TEST(SyntheticLibrary, TextOfAPassageHasAsManyTokensAsThePassage) {
  const SyntheticLibrary library(tokenizer(), 3, 2, 1);
  EXPECT_EQ(tokenizer()->encode(library.inline_passages(2)[1].text), library.passage_ids(2, 1));
}

TEST(SyntheticLibrary, AQuestionFindsItsTopicsPassagesAndNoOthers) {
  const TemporaryDirectory directory;
  KnowledgeBaseSchema schema;
  schema.chunk_size = 16;
  schema.chunk_width = 4;
  const auto base = KnowledgeBase::create(directory.path() / "kb", schema);
  const SyntheticLibrary library(tokenizer(), 4, 3, 1);
  library.store(*base);
  EXPECT_EQ(base->stats().chunks, 4U * 3 * kPassageTokens / 16);
  RetrieveOptions options;
  options.top_k = 3;
  options.mode = RetrieveMode::kLexical;
  const auto found = Retriever({}, {}, {}).search(base->snapshot(), library.question(2), options);
  ASSERT_EQ(found.size(), 3U);
  for (const RetrievedPassage& passage : found) {
    EXPECT_TRUE(passage.passage.document_id.starts_with("topic-2-")) << passage.passage.document_id;
  }
}

TEST(SyntheticLibrary, NeedsAVocabularyLargerThanItsTopics) {
  const Error error = testing::error_of([] { SyntheticLibrary(tokenizer(), 2000, 1, 1); });
  EXPECT_THAT(error.what(), ::testing::HasSubstr("2000 topics"));
}

}  // namespace
}  // namespace refrag::bench

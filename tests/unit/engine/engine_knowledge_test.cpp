#include "refrag/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "refrag/error.h"
#include "store/batch.h"
#include "unit/engine/engine_fixture.h"

namespace refrag {
namespace {

using ::testing::AllOf;
using testing::ask_about;
using testing::bare_model;
using testing::EngineTest;
using testing::error_of;
using testing::FakeModel;
using testing::FakeRunner;
using ::testing::HasSubstr;

class EngineKnowledgeTest : public EngineTest {
 protected:
  /// A base of two documents as `maker` would have made it.
  std::shared_ptr<KnowledgeBase> base_of(const FakeRunner& maker) {
    const auto base = KnowledgeBase::create(directory_.path() / maker.info().name, maker.info().schema);
    Batch batch;
    for (const auto& [id, text] : std::vector<std::pair<std::string, std::string>>{
             {"sky", "Intro. The sky was blue."}, {"sea", "Intro. The sea was green."}}) {
      batch.documents.push_back(record_of(maker, id, text));
    }
    base->commit(batch);
    return base;
  }

  static DocumentRecord record_of(const FakeRunner& maker, const std::string& id, const std::string& text) {
    DocumentRecord record;
    record.document.id = id;
    record.document.title = id;
    record.document.text = text;
    record.content_hash = "hash of " + id;
    PassageRecord passage;
    passage.start = 7;  // behind "Intro. "
    passage.end = text.size();
    const std::string body = text.substr(7);
    const Encoding encoding = maker.info().tokenizer->encode_with_ranges(body);
    std::vector<std::vector<TokenId>> chunks;
    for (std::size_t n = 0; n < encoding.ids.size(); n += maker.info().chunk_size) {
      const std::size_t end = std::min(n + maker.info().chunk_size, encoding.ids.size());
      ChunkRecord chunk;
      chunk.ids.assign(encoding.ids.begin() + static_cast<std::ptrdiff_t>(n),
                       encoding.ids.begin() + static_cast<std::ptrdiff_t>(end));
      chunk.start = 7 + encoding.ranges[n].begin;
      chunk.end = 7 + encoding.ranges[end - 1].end;
      chunks.push_back(chunk.ids);
      passage.chunks.push_back(chunk);
    }
    passage.chunk_vectors = maker.encode_chunks(chunks).values;
    passage.vector = maker.embed_passages({body}).values;
    record.passages.push_back(passage);
    return record;
  }

  static Query lexical(const std::string& question) {
    Query query = ask_about(question);
    query.passages.reset();
    query.retrieve.mode = RetrieveMode::kLexical;
    return query;
  }

  TemporaryDirectory directory_;
};

TEST_F(EngineKnowledgeTest, FoundPassagesAreReadWithTheirStoredVectors) {
  start(bare_model(), {}, base_of(FakeRunner(bare_model())));
  const Answer answer = engine_->ask(lexical("green sea"));
  ASSERT_FALSE(answer.retrieval.hits.empty());
  const Hit& hit = answer.retrieval.hits[0];
  EXPECT_EQ(hit.document_id, "sea");
  EXPECT_EQ(hit.text, "The sea was green.");
  EXPECT_EQ(hit.chunks.front().start, 7u);
  EXPECT_EQ(hit.chunks.back().end, 25u);
  EXPECT_EQ(answer.citations[0].document_id, "sea");
  EXPECT_EQ(answer.citations[0].start, 7u);
  EXPECT_EQ(answer.usage.encoded_chunks, 0u);
  EXPECT_GT(answer.usage.expanded, 0u);
}

TEST_F(EngineKnowledgeTest, FiltersAreComparedInTheFormThatIsStored) {
  const FakeRunner maker(bare_model());
  const auto base = base_of(maker);
  Batch batch;
  batch.documents.push_back(record_of(maker, "moon", "Intro. The moon was black."));
  batch.documents.back().document.metadata["who"] = std::string("Caf\u00e9");
  base->commit(batch);
  start(bare_model(), {}, base);
  Query query = lexical("moon");
  query.retrieve.filter["who"] = std::string("Cafe\u0301");  // as some systems write it
  EXPECT_EQ(engine_->ask(query).retrieval.hits.size(), 1u);
}

TEST_F(EngineKnowledgeTest, NothingFoundStillAnswers) {
  start(bare_model(), {}, base_of(FakeRunner(bare_model())));
  const Answer answer = engine_->ask(lexical("xylophone"));
  EXPECT_TRUE(answer.retrieval.empty);
  EXPECT_TRUE(answer.citations.empty());
  EXPECT_EQ(answer.usage.completion_tokens, 24u);
  Query query = lexical("green");
  query.retrieve.top_k = 0;
  EXPECT_TRUE(engine_->ask(query).retrieval.empty);
}

TEST_F(EngineKnowledgeTest, WithoutABasePassagesMustComeAlong) {
  start();
  EXPECT_EQ(error_of([&] { engine_->ask(lexical("green")); }).param(), "passages");
  EXPECT_THROW(engine_->search({"green", {}}), Error);
  Query query = lexical("green");
  query.retrieve.top_k = 0;
  EXPECT_TRUE(engine_->ask(query).retrieval.empty);
}

TEST_F(EngineKnowledgeTest, ABaseOfAnotherEncoderRefusesRefragAndNamesWhatDiffers) {
  FakeModel other = bare_model();
  other.name = "other";
  start(bare_model(), {}, base_of(FakeRunner(other)));
  const Error error = error_of([&] { engine_->ask(lexical("green")); });
  EXPECT_EQ(error.code(), ErrorCode::kIdentityMismatch);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("encoder"), HasSubstr("\"other\""), HasSubstr("\"fake\"")));
}

TEST_F(EngineKnowledgeTest, ABaseOfAnotherEncoderIsReadAsTextInModeFull) {
  FakeModel other = bare_model();
  other.name = "other";
  other.chunk_size = 5;
  Query query = lexical("green sea");
  query.mode = Mode::kFull;
  start(bare_model(), {}, base_of(FakeRunner(bare_model())));
  const Answer same = engine_->ask(query);
  start(bare_model(), {}, base_of(FakeRunner(other)));
  const Answer foreign = engine_->ask(query);
  EXPECT_EQ(foreign.text, same.text);
  EXPECT_EQ(foreign.retrieval.hits[0].chunks.back().end, same.retrieval.hits[0].chunks.back().end);
}

TEST_F(EngineKnowledgeTest, DenseSearchNeedsTheSameRetriever) {
  FakeModel other = bare_model();
  other.name = "other";
  start(bare_model(), {}, base_of(FakeRunner(other)));
  for (const RetrieveMode mode : {RetrieveMode::kDense, RetrieveMode::kHybrid}) {
    RetrieveOptions options;
    options.mode = mode;
    const Error error = error_of([&] { engine_->search({"green", options}); });
    EXPECT_EQ(error.code(), ErrorCode::kIdentityMismatch);
    EXPECT_THAT(error.what(), HasSubstr("retriever"));
  }
  RetrieveOptions options;
  options.mode = RetrieveMode::kLexical;
  EXPECT_EQ(engine_->search({"green", options}).at(0).document_id, "sea");
}

TEST_F(EngineTest, EmbeddingGivesARowAText) {
  start();
  const auto rows = engine_->embed({"one two", "three"});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1], runner_->embed_passages({"three"}).values);
  EXPECT_TRUE(engine_->embed({}).empty());
  FakeModel model = bare_model();
  model.passage_width = 0;
  start(model);
  EXPECT_EQ(error_of([&] { engine_->embed({"one"}); }).code(), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace refrag

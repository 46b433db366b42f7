#include "refrag/knowledge_base.h"

#include <gmock/gmock.h>

#include <fstream>

#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class KnowledgeBaseTest : public StoreTest {};

TEST_F(KnowledgeBaseTest, CommittedDocumentsAreThereAfterReopening) {
  create();
  DocumentRecord record = record_of("moon", "the móon shines", {{"year", std::int64_t{1969}}, {"far", true}});
  kb().commit({{record}, {}});

  reopen();

  const std::optional<StoredDocument> stored = kb().get("moon");
  ASSERT_TRUE(stored);
  EXPECT_EQ(stored->document.text, "the móon shines");
  EXPECT_EQ(stored->document.title, "title of moon");
  EXPECT_EQ(stored->document.metadata, record.document.metadata);
  ASSERT_EQ(stored->passages.size(), 1);
  EXPECT_EQ(stored->passages[0].id, "moon#0");
  EXPECT_EQ(stored->passages[0].end, 15);
  EXPECT_EQ(stored->passages[0].chunks, 4);
  EXPECT_EQ(kb().get("sun"), std::nullopt);
}

TEST_F(KnowledgeBaseTest, SchemaIsKept) {
  create(small_schema(VectorFormat::kInt8));
  reopen();
  const KnowledgeBaseSchema& schema = kb().schema();
  EXPECT_EQ(schema.identities, small_schema().identities);
  EXPECT_EQ(schema.chunk_size, 4);
  EXPECT_EQ(schema.chunk_width, 8);
  EXPECT_EQ(schema.passage_width, 6);
  EXPECT_EQ(schema.vector_format, VectorFormat::kInt8);
  EXPECT_EQ(schema.model_name, "test-model");
  EXPECT_EQ(schema.identity_note, R"({"encoder": "none"})");
}

TEST_F(KnowledgeBaseTest, DocumentOfSameIdIsReplaced) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  kb().commit({{record_of("moon", "cheese")}, {}});

  EXPECT_EQ(document_ids(kb()), ids({"moon", "sun"}));
  EXPECT_EQ(kb().get("moon")->document.text, "cheese");
  const Snapshot snapshot = kb().snapshot();
  EXPECT_EQ(snapshot.passage_count(), 2);
  EXPECT_THAT(found_ids(snapshot, snapshot.search_lexical("moon shines", 10, {})), ElementsAre("moon", "sun"));
}

TEST_F(KnowledgeBaseTest, RemovedDocumentsAreGoneFromEveryView) {
  create();
  kb().commit(batch_of({"moon", "sun"}));

  EXPECT_EQ(kb().remove({"moon", "nobody"}), 1);

  EXPECT_EQ(document_ids(kb()), ids({"sun"}));
  EXPECT_EQ(kb().get("moon"), std::nullopt);
  const Snapshot snapshot = kb().snapshot();
  EXPECT_THAT(snapshot.search_lexical("moon", 10, {}), IsEmpty());
  EXPECT_THAT(found_ids(snapshot, snapshot.search_dense(vector_of("the moon shines", 6), 10, {})), ElementsAre("sun"));
  EXPECT_EQ(kb().remove({"moon"}), 0);
}

TEST_F(KnowledgeBaseTest, OneCommitRemovesAndAdds) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  Batch batch = batch_of({"mars"});
  batch.removed = {"moon"};
  kb().commit(batch);
  EXPECT_EQ(document_ids(kb()), ids({"mars", "sun"}));
}

TEST_F(KnowledgeBaseTest, DocumentWithoutPassagesIsKeptAndRemoved) {
  create();
  DocumentRecord empty;
  empty.document.id = "empty";
  kb().commit({{empty}, {}});
  EXPECT_EQ(document_ids(kb()), ids({"empty"}));
  EXPECT_THAT(segment_files(), IsEmpty());
  kb().remove({"empty"});
  kb().merge();
  EXPECT_THAT(document_ids(kb()), IsEmpty());
}

TEST_F(KnowledgeBaseTest, StatsCountWhatIsLive) {
  create();
  kb().commit(batch_of({"moon", "sun"}));  // "the moon shines": 15 code points, 4 chunks; "the sun shines": 14, 4
  KnowledgeBaseStats stats = kb().stats();
  EXPECT_EQ(stats.documents, 2);
  EXPECT_EQ(stats.passages, 2);
  EXPECT_EQ(stats.chunks, 8);
  EXPECT_EQ(stats.tokens, 29);
  EXPECT_EQ(stats.segments, 1);
  EXPECT_EQ(stats.dead_rows, 0);
  EXPECT_GT(stats.metadata_bytes, 0);
  EXPECT_GT(stats.vector_bytes, 8 * 8 * 2);

  kb().remove({"moon"});
  stats = kb().stats();
  EXPECT_EQ(stats.documents, 1);
  EXPECT_EQ(stats.tokens, 14);
  EXPECT_EQ(stats.dead_rows, 4);

  kb().merge();
  stats = kb().stats();
  EXPECT_EQ(stats.dead_rows, 0);
  EXPECT_EQ(stats.chunks, 4);
}

TEST_F(KnowledgeBaseTest, ListPagesById) {
  create();
  kb().commit(batch_of({"e", "a", "c"}));
  kb().commit(batch_of({"b", "d"}));

  const DocumentPage first = kb().list({}, 2);
  ASSERT_EQ(first.documents.size(), 2);
  EXPECT_EQ(first.documents[0].id, "a");
  EXPECT_EQ(first.documents[0].chunks, 3);
  EXPECT_EQ(first.next, "b");
  const DocumentPage last = kb().list("d", 2);
  ASSERT_EQ(last.documents.size(), 1);
  EXPECT_EQ(last.documents[0].id, "e");
  EXPECT_EQ(last.next, "");
}

TEST_F(KnowledgeBaseTest, PagesTogetherListEveryDocumentOnceInBytewiseOrder) {
  create();
  const std::vector<std::string> expected =
      sorted({"a", "A", "Z", "ab", "a/b", "a#0", "é", "日本", "10", "9", " ", std::string("n\0l", 3)});
  kb().commit(batch_of(expected));
  kb().commit({{}, {"Z"}});
  kb().commit(batch_of({"Z"}));
  for (const std::size_t limit : {1, 2, 5, 12, 13}) {
    std::vector<std::string> listed;
    std::string after;
    do {
      const DocumentPage page = kb().list(after, limit);
      EXPECT_LE(page.documents.size(), limit);
      for (const DocumentSummary& document : page.documents) {
        listed.push_back(document.id);
      }
      after = page.next;
    } while (!after.empty());
    EXPECT_EQ(listed, expected) << limit;
  }
  EXPECT_THAT(kb().list({}, 0).documents, IsEmpty());
}

TEST_F(KnowledgeBaseTest, ContentHashesComeInTheOrderAsked) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  EXPECT_THAT(kb().content_hashes({"sun", "mars", "moon"}),
              ElementsAre(sha256_hex("sunthe sun shines"), "", sha256_hex("moonthe moon shines")));
}

TEST_F(KnowledgeBaseTest, OpeningWhatIsNotThereSaysSo) {
  const Error error = error_of([&] { KnowledgeBase::open(path()); });
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.what(), HasSubstr(path().string()));
}

TEST_F(KnowledgeBaseTest, DirectoryWithOtherFilesIsNotTaken) {
  std::filesystem::create_directories(path());
  std::ofstream(path() / "letter.txt") << "dear";
  EXPECT_EQ(error_of([&] { create(); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_FALSE(std::filesystem::exists(path() / "meta.db"));
}

TEST_F(KnowledgeBaseTest, ExistingBaseIsNotCreatedAnew) {
  create();
  kb().commit(batch_of({"moon"}));
  EXPECT_EQ(error_of([&] { KnowledgeBase::create(path(), small_schema()); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(document_ids(kb()), ids({"moon"}));
}

TEST_F(KnowledgeBaseTest, BatchThatCannotBeStoredIsRefusedBeforeAnythingIsWritten) {
  create();
  Batch batch = batch_of({"moon", "sun"});
  batch.documents[1].passages[0].vector[3] = std::nanf("");
  const Error error = error_of([&] { kb().commit(batch); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("documents[1].passages[0].vector[3]"));
  EXPECT_THAT(segment_files(), IsEmpty());
  EXPECT_THAT(document_ids(kb()), IsEmpty());
}

TEST_F(KnowledgeBaseTest, BaseWithoutVectorsHasLexicalSearchOnly) {
  KnowledgeBaseSchema schema = small_schema();
  schema.chunk_width = 0;
  schema.passage_width = 0;
  create(schema);
  kb().commit({{record_of("moon", "the moon shines", {}, schema)}, {}});
  reopen();
  const Snapshot snapshot = kb().snapshot();
  const std::vector<ScoredPassage> found = snapshot.search_lexical("moon", 3, {});
  ASSERT_EQ(found.size(), 1);
  EXPECT_THAT(snapshot.chunk_vectors(found[0].key), IsEmpty());
  EXPECT_THAT(snapshot.passage_vector(found[0].key), IsEmpty());
  EXPECT_EQ(error_of([&] { snapshot.search_dense({}, 3, {}); }).code(), ErrorCode::kUnsupported);
  EXPECT_THAT(segment_files(), IsEmpty());
}

TEST_F(KnowledgeBaseTest, SecondHandleSeesCommitsOfTheFirst) {
  create();
  const std::shared_ptr<KnowledgeBase> other = KnowledgeBase::open(path());
  EXPECT_EQ(other->snapshot().passage_count(), 0);
  kb().commit(batch_of({"moon"}));
  EXPECT_EQ(other->snapshot().passage_count(), 1);
  EXPECT_THAT(found_ids(other->snapshot(), other->snapshot().search_lexical("moon", 5, {})), ElementsAre("moon"));
  other->commit(batch_of({"sun"}));
  EXPECT_EQ(document_ids(kb()), ids({"moon", "sun"}));
  EXPECT_EQ(kb().snapshot().passage_count(), 2);
}

TEST_F(KnowledgeBaseTest, SnapshotOutlivesItsKnowledgeBase) {
  create();
  kb().commit(batch_of({"moon"}));
  const Snapshot snapshot = kb().snapshot();
  close();
  EXPECT_THAT(found_ids(snapshot, snapshot.search_lexical("moon", 5, {})), ElementsAre("moon"));
}

}  // namespace
}  // namespace refrag::testing

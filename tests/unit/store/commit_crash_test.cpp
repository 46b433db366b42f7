#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "base/fail_point.h"
#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// Every place where a commit can fail before its commit point.
const std::vector<std::string>& places_before_the_commit_point() {
  static const std::vector<std::string> places = {
      "store.before_files",  "store.after_passages_file", "store.after_chunks_file", "store.between_renames",
      "store.after_renames", "store.before_transaction",  "store.in_transaction",
  };
  return places;
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  std::erase_if(name, [](char c) { return c == '.' || c == '_'; });
  return name;
}

/// What must be there, and nothing else: by id, by both searches, by the counters and by the files.
void expect_exactly(const KnowledgeBase& base, const std::vector<std::string>& expected) {
  EXPECT_EQ(document_ids(base), expected);
  const Snapshot snapshot = base.snapshot();
  EXPECT_EQ(snapshot.passage_count(), expected.size());
  EXPECT_EQ(sorted(found_ids(snapshot, snapshot.search_lexical("shines", 100, {}))), expected);
  EXPECT_EQ(sorted(found_ids(snapshot, snapshot.search_dense(vector_of("any", 6), 100, {}))), expected);
  EXPECT_EQ(base.stats().documents, expected.size());
  read_everything(base);
}

class CommitCrashTest : public StoreTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(CommitCrashTest, LeavesNothingOfTheBatchAfterReopening) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  const std::vector<std::string> files = segment_files();
  {
    const FailPoint crash(GetParam());
    Batch batch = batch_of({"mars", "sun"});
    batch.removed = {"moon"};
    EXPECT_EQ(error_of([&] { kb().commit(batch); }).code(), ErrorCode::kInternal);
  }

  reopen();

  expect_exactly(kb(), ids({"moon", "sun"}));
  EXPECT_EQ(kb().stats().dead_rows, 0);
  EXPECT_EQ(segment_files(), files);
}

TEST_P(CommitCrashTest, LeavesAHandleThatCommitsTheNextBatch) {
  create();
  kb().commit(batch_of({"moon"}));
  {
    const FailPoint crash(GetParam());
    EXPECT_THROW(kb().commit(batch_of({"sun"})), Error);
  }
  expect_exactly(kb(), ids({"moon"}));

  kb().commit(batch_of({"mars"}));

  expect_exactly(kb(), ids({"mars", "moon"}));
}

INSTANTIATE_TEST_SUITE_P(AtEveryPlace, CommitCrashTest, ::testing::ValuesIn(places_before_the_commit_point()),
                         test_name);

class CommitTest : public StoreTest {};

TEST_F(CommitTest, CrashAfterTheCommitPointKeepsTheWholeBatch) {
  create();
  kb().commit(batch_of({"moon"}));
  {
    const FailPoint crash("store.after_commit");
    EXPECT_THROW(kb().commit(batch_of({"mars", "sun"})), Error);
  }

  reopen();

  expect_exactly(kb(), ids({"mars", "moon", "sun"}));
}

TEST_F(CommitTest, CrashInARemovalRemovesNothing) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  {
    const FailPoint crash("store.in_transaction");
    EXPECT_THROW(kb().remove({"moon"}), Error);
  }
  reopen();
  expect_exactly(kb(), ids({"moon", "sun"}));
}

TEST_F(CommitTest, CrashWhileCreatingLeavesADirectoryToCreateIn) {
  {
    const FailPoint crash("store.create.before_rename");
    EXPECT_THROW(create(), Error);
  }
  EXPECT_FALSE(KnowledgeBase::exists(path()));
  EXPECT_EQ(error_of([&] { KnowledgeBase::open(path()); }).code(), ErrorCode::kNotFound);

  create();

  kb().commit(batch_of({"moon"}));
  expect_exactly(kb(), ids({"moon"}));
}

TEST_F(CommitTest, FilesThatNoRowNamesAreRemovedAtOpening) {
  create();
  kb().commit(batch_of({"moon"}));
  const std::vector<std::string> files = segment_files();
  write_file_atomic(segments() / "000002.passages.faiss", "half a commit");
  write_file_atomic(segments() / "000003.chunks.faiss.tmp", "less of one");

  reopen();

  EXPECT_EQ(segment_files(), files);
}

TEST_F(CommitTest, FilesOfAWriterAtWorkStayWhenAnotherOpens) {
  create();
  const auto writing = kb().lock_for_writing();
  write_file_atomic(segments() / "000001.passages.faiss", "rows will follow");

  const std::shared_ptr<KnowledgeBase> other = KnowledgeBase::open(path());

  EXPECT_THAT(segment_files(), ElementsAre("000001.passages.faiss"));
}

TEST_F(CommitTest, EmptyBatchChangesNothing) {
  create();
  kb().commit({});
  EXPECT_THAT(document_ids(kb()), IsEmpty());
  EXPECT_THAT(segment_files(), IsEmpty());
}

TEST_F(CommitTest, EachBatchIsOneSegmentOfTwoFiles) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  EXPECT_THAT(segment_files(), ElementsAre("000001.chunks.faiss", "000001.passages.faiss"));
  kb().commit(batch_of({"mars"}));
  EXPECT_THAT(segment_files(), SizeIs(4));
  EXPECT_EQ(kb().stats().segments, 2);
}

}  // namespace
}  // namespace refrag::testing

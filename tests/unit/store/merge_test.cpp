#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "base/fail_point.h"
#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class MergeTest : public StoreTest {};

/// Chunk vectors of all documents, by id.
std::map<std::string, std::vector<float>> all_chunk_vectors(const Snapshot& snapshot) {
  std::map<std::string, std::vector<float>> vectors;
  for (const ScoredPassage& found : snapshot.search_dense(vector_of("any", 6), 1000, {})) {
    vectors[snapshot.passages(std::vector{found.key}).at(0).document_id] = snapshot.chunk_vectors(found.key);
  }
  return vectors;
}

TEST_F(MergeTest, FoldsSegmentsAndDropsTheDead) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  kb().commit(batch_of({"mars", "pluto"}));
  kb().commit({{record_of("sun", "hot gas")}, {"pluto"}});
  const auto before = all_chunk_vectors(kb().snapshot());

  kb().merge();

  EXPECT_THAT(segment_files(), SizeIs(2));
  EXPECT_EQ(kb().stats().segments, 1);
  EXPECT_EQ(kb().stats().dead_rows, 0);
  EXPECT_EQ(all_chunk_vectors(kb().snapshot()), before);
  reopen();
  EXPECT_EQ(all_chunk_vectors(kb().snapshot()), before);
  EXPECT_EQ(document_ids(kb()), ids({"mars", "moon", "sun"}));
  const Snapshot snapshot = kb().snapshot();
  EXPECT_THAT(found_ids(snapshot, snapshot.search_lexical("hot gas", 5, {})), ::testing::ElementsAre("sun"));
  EXPECT_THAT(snapshot.search_lexical("pluto", 5, {}), IsEmpty());
}

TEST_F(MergeTest, OfWhatIsMergedChangesNothing) {
  create();
  kb().commit(batch_of({"moon"}));
  kb().commit(batch_of({"sun"}));
  kb().merge();
  const std::vector<std::string> files = segment_files();
  kb().merge();
  EXPECT_EQ(segment_files(), files);
}

TEST_F(MergeTest, OfABaseWhereAllIsGoneLeavesNoFile) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  kb().remove({"moon", "sun"});
  kb().merge();
  EXPECT_THAT(segment_files(), IsEmpty());
  kb().commit(batch_of({"mars"}));
  reopen();
  EXPECT_EQ(document_ids(kb()), ids({"mars"}));
  read_everything(kb());
}

TEST_F(MergeTest, ManySmallCommitsLeaveFewSegments) {
  create();
  std::vector<std::string> expected;
  for (int i = 0; i < 60; ++i) {
    expected.push_back("d" + std::to_string(i));
    kb().commit(batch_of({expected.back()}));
    ASSERT_LE(kb().stats().segments, 11);
  }
  EXPECT_EQ(document_ids(kb()), sorted(expected));
  EXPECT_THAT(all_chunk_vectors(kb().snapshot()), SizeIs(60));
}

TEST_F(MergeTest, SegmentMostlyOfTheDeadIsRewrittenWithoutBeingAsked) {
  create();
  kb().commit(batch_of({"moon", "sun", "mars"}));
  kb().remove({"moon"});
  EXPECT_EQ(kb().stats().dead_rows, 4);
  kb().remove({"sun"});
  EXPECT_EQ(kb().stats().dead_rows, 0);
  EXPECT_EQ(document_ids(kb()), ids({"mars"}));
}

TEST_F(MergeTest, Int8ValuesDoNotDriftOverMerges) {
  create(small_schema(VectorFormat::kInt8));
  for (int i = 0; i < 8; ++i) {
    kb().commit(batch_of({"d" + std::to_string(i)}));
  }
  kb().merge();
  const auto first = all_chunk_vectors(kb().snapshot());
  for (int i = 0; i < 20; ++i) {  // each merge has something to drop, and so rewrites every vector
    kb().commit({{record_of("guest", "x")}, {}});
    kb().merge();
  }
  const auto last = all_chunk_vectors(kb().snapshot());
  for (const auto& [id, vector] : first) {
    for (std::size_t i = 0; i < vector.size(); ++i) {
      // The guest's values may widen a range once, by which a value moves by half a step; unit vectors span at most 2.
      EXPECT_NEAR(last.at(id)[i], vector[i], 2.0 / 510 + 1e-6) << id << " " << i;
    }
  }
}

TEST_F(MergeTest, ThatFailsAfterACommitLeavesTheCommitAndIsTriedAgain) {
  create();
  for (int i = 0; i < 10; ++i) {
    kb().commit(batch_of({"d" + std::to_string(i)}));
  }
  {
    const FailPoint crash("store.merge.before_transaction");
    EXPECT_NO_THROW(kb().commit(batch_of({"moon"})));  // the eleventh segment of its size: a merge is due
  }
  EXPECT_EQ(kb().stats().segments, 11);
  EXPECT_EQ(document_ids(kb()).size(), 11);
  kb().commit(batch_of({"sun"}));
  EXPECT_EQ(kb().stats().segments, 1);
}

class MergeCrashTest : public StoreTest, public ::testing::WithParamInterface<std::string> {};

TEST_P(MergeCrashTest, LosesAndRevivesNothing) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  kb().commit(batch_of({"mars", "pluto"}));
  kb().remove({"pluto"});
  const auto before = all_chunk_vectors(kb().snapshot());
  {
    const FailPoint crash(GetParam());
    EXPECT_THROW(kb().merge(), Error);
  }
  EXPECT_EQ(all_chunk_vectors(kb().snapshot()), before);

  reopen();

  EXPECT_EQ(all_chunk_vectors(kb().snapshot()), before);
  EXPECT_EQ(document_ids(kb()), ids({"mars", "moon", "sun"}));
  kb().merge();
  EXPECT_EQ(all_chunk_vectors(kb().snapshot()), before);
  EXPECT_THAT(segment_files(), SizeIs(2));
  const Snapshot snapshot = kb().snapshot();
  EXPECT_THAT(sorted(found_ids(snapshot, snapshot.search_lexical("shines", 10, {}))), ids({"mars", "moon", "sun"}));
}

INSTANTIATE_TEST_SUITE_P(AtEveryPlace, MergeCrashTest,
                         ::testing::Values("store.before_files", "store.after_passages_file", "store.after_chunks_file",
                                           "store.between_renames", "store.after_renames",
                                           "store.merge.before_transaction", "store.merge.in_transaction",
                                           "store.merge.after_commit", "store.purge.in_transaction"),
                         [](const ::testing::TestParamInfo<std::string>& info) {
                           std::string name = info.param;
                           std::erase_if(name, [](char c) { return c == '.' || c == '_'; });
                           return name;
                         });

}  // namespace
}  // namespace refrag::testing

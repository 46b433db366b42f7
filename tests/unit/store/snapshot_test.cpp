#include "store/snapshot.h"

#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "store/sqlite.h"
#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SnapshotTest : public StoreTest {};

PassageKey key_of(const Snapshot& snapshot, const std::string& word) {
  const std::vector<ScoredPassage> found = snapshot.search_lexical(word, 1, {});
  EXPECT_THAT(found, SizeIs(1));
  return found.at(0).key;
}

TEST_F(SnapshotTest, PassageComesBackAsItWasStored) {
  create();
  DocumentRecord record = record_of("moon", "the móon shines");
  kb().commit({{record}, {}});
  reopen();
  const Snapshot snapshot = kb().snapshot();
  const PassageKey key = key_of(snapshot, "moon");

  const StoredPassage passage = snapshot.passages(std::vector{key}).at(0);

  EXPECT_EQ(passage.key, key);
  EXPECT_EQ(passage.document_id, "moon");
  EXPECT_EQ(passage.passage_id, "moon#0");
  EXPECT_EQ(passage.title, "title of moon");
  EXPECT_EQ(passage.text, "the móon shines");
  EXPECT_EQ(passage.start, 0);
  EXPECT_EQ(passage.end, 15);
  ASSERT_EQ(passage.chunks.size(), 4);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(passage.chunks[i].ids, record.passages[0].chunks[i].ids);
    EXPECT_EQ(passage.chunks[i].start, record.passages[0].chunks[i].start);
    EXPECT_EQ(passage.chunks[i].end, record.passages[0].chunks[i].end);
  }
  EXPECT_EQ(snapshot.passage_vector(key), record.passages[0].vector);
}

TEST_F(SnapshotTest, PassagesOfOneDocumentAreCutFromItsText) {
  create();
  DocumentRecord record = record_of("sky", "the móon. the sun");
  PassageRecord second = record.passages[0];
  record.passages[0].end = 9;
  record.passages[0].chunks.resize(2);
  record.passages[0].chunk_vectors.resize(16);
  second.start = 10;
  second.chunks.erase(second.chunks.begin(), second.chunks.begin() + 3);
  second.chunk_vectors.erase(second.chunk_vectors.begin(), second.chunk_vectors.begin() + 24);
  record.passages.push_back(second);
  kb().commit({{record}, {}});
  const Snapshot snapshot = kb().snapshot();

  const StoredPassage sun = snapshot.passages(std::vector{key_of(snapshot, "sun")}).at(0);

  EXPECT_EQ(sun.passage_id, "sky#1");
  EXPECT_EQ(sun.text, "the sun");
  EXPECT_EQ(sun.chunks.at(0).start, 12);
  const StoredDocument stored = kb().get("sky").value();
  EXPECT_THAT(stored.passages, SizeIs(2));
  EXPECT_EQ(stored.passages[1].start, 10);
  EXPECT_EQ(stored.passages[1].chunks, second.chunks.size());
}

TEST_F(SnapshotTest, StaysAsItWasWhileCommitsArrive) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  const Snapshot old = kb().snapshot();
  const PassageKey moon = key_of(old, "moon");

  kb().commit({{record_of("moon", "cheese")}, {"sun"}});
  kb().commit(batch_of({"mars"}));

  EXPECT_EQ(old.passage_count(), 2);
  EXPECT_THAT(sorted(found_ids(old, old.search_lexical("shines", 10, {}))), ElementsAre("moon", "sun"));
  EXPECT_THAT(old.search_lexical("cheese mars", 10, {}), IsEmpty());
  EXPECT_THAT(sorted(found_ids(old, old.search_dense(vector_of("x", 6), 10, {}))), ElementsAre("moon", "sun"));
  EXPECT_EQ(old.passages(std::vector{moon}).at(0).text, "the moon shines");
  EXPECT_THAT(found_ids(kb().snapshot(), kb().snapshot().search_lexical("shines", 10, {})), ElementsAre("mars"));
}

TEST_F(SnapshotTest, StaysReadableWhileMergesDropWhatItHolds) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  kb().commit(batch_of({"mars"}));
  const Snapshot old = kb().snapshot();
  const PassageKey moon = key_of(old, "moon");
  const std::vector<float> vectors = old.chunk_vectors(moon);

  kb().remove({"moon", "sun", "mars"});
  kb().merge();
  kb().merge();

  EXPECT_THAT(segment_files(), IsEmpty());
  EXPECT_THAT(sorted(found_ids(old, old.search_lexical("shines", 10, {}))), ElementsAre("mars", "moon", "sun"));
  EXPECT_THAT(sorted(found_ids(old, old.search_dense(vector_of("x", 6), 10, {}))), ElementsAre("mars", "moon", "sun"));
  EXPECT_EQ(old.passages(std::vector{moon}).at(0).text, "the moon shines");
  EXPECT_EQ(old.chunk_vectors(moon), vectors);
  EXPECT_EQ(old.passage_vector(moon), vector_of("the moon shines", 6));
}

TEST_F(SnapshotTest, OfAnotherHandleKeepsItsRowsThroughMerges) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  std::shared_ptr<KnowledgeBase> other = KnowledgeBase::open(path());
  const Snapshot old = other->snapshot();
  other.reset();

  kb().remove({"moon"});
  kb().merge();

  EXPECT_THAT(sorted(found_ids(old, old.search_lexical("shines", 10, {}))), ElementsAre("moon", "sun"));
}

TEST_F(SnapshotTest, RowsOfTheDeadGoAwayOnceNoSnapshotNeedsThem) {
  create();
  kb().commit(batch_of({"moon", "sun"}));
  const auto rows = [&] {
    Connection connection(path() / "meta.db", Connection::Mode::kRead);
    return connection.integer("SELECT count(*) FROM passages");
  };
  {
    const Snapshot old = kb().snapshot();
    kb().remove({"moon"});
    kb().merge();
    EXPECT_EQ(rows(), 2);
  }
  kb().merge();
  EXPECT_EQ(rows(), 1);
}

TEST_F(SnapshotTest, KeyOfAnotherSnapshotIsRefused) {
  create();
  kb().commit(batch_of({"moon"}));
  const PassageKey key = key_of(kb().snapshot(), "moon");
  kb().remove({"moon"});
  const Snapshot snapshot = kb().snapshot();
  for (const PassageKey wrong : {key, PassageKey{99, 0}, PassageKey{1, -1}, PassageKey{1, 7}}) {
    const Error error = error_of([&] { (void)snapshot.passages(std::vector{wrong}); });
    EXPECT_EQ(error.code(), ErrorCode::kInternal);
    EXPECT_THAT(error.what(), HasSubstr("not in this snapshot"));
    EXPECT_EQ(error_of([&] { (void)snapshot.chunk_vectors(wrong); }).code(), ErrorCode::kInternal);
    EXPECT_EQ(error_of([&] { (void)snapshot.passage_vector(wrong); }).code(), ErrorCode::kInternal);
  }
}

/// Batch n replaces the two documents "left" and "right" by ones whose texts say n: a reader that sees two different
/// numbers saw half a commit.
Batch numbered_pair(int number) {
  const std::string text = "number " + std::to_string(number) + " shines";
  return {{record_of("left", text), record_of("right", text)}, {}};
}

/// The text that both documents have, or nothing where they differ or one is missing.
std::optional<std::string> common_text(const Snapshot& snapshot) {
  std::vector<PassageKey> keys;
  for (const ScoredPassage& found : snapshot.search_dense(vector_of("any", 6), 10, {})) {
    keys.push_back(found.key);
    if (snapshot.chunk_vectors(found.key).empty()) {
      return std::nullopt;
    }
  }
  const std::vector<StoredPassage> passages = snapshot.passages(keys);
  const bool is_whole = passages.size() == 2 && passages[0].text == passages[1].text &&
                        passages[0].document_id != passages[1].document_id &&
                        snapshot.search_lexical("shines", 10, {}).size() == 2;
  return is_whole ? std::optional(passages[0].text) : std::nullopt;
}

void expect_readers_see_whole_commits(KnowledgeBase& writer, const KnowledgeBase& reader) {
  writer.commit(numbered_pair(0));
  std::atomic<bool> is_done = false;
  std::atomic<int> halves = 0;
  std::atomic<int> looks = 0;
  std::vector<std::thread> readers;
  readers.reserve(3);
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!is_done || looks < 3) {
        const Snapshot snapshot = reader.snapshot();
        const std::optional<std::string> first = common_text(snapshot);
        const std::optional<std::string> second = common_text(snapshot);
        halves += !first || first != second ? 1 : 0;
        ++looks;
      }
    });
  }
  for (int number = 1; number <= 40; ++number) {
    writer.commit(numbered_pair(number));
    if (number % 10 == 0) {
      writer.merge();
    }
  }
  is_done = true;
  for (std::thread& thread : readers) {
    thread.join();
  }
  EXPECT_EQ(halves, 0);
  EXPECT_EQ(common_text(reader.snapshot()), "number 40 shines");
}

TEST_F(SnapshotTest, ReadersInOtherThreadsSeeWholeCommitsOnly) {
  create();
  expect_readers_see_whole_commits(kb(), kb());
}

TEST_F(SnapshotTest, ReadersWithAnotherHandleSeeWholeCommitsOnly) {
  create();
  const std::shared_ptr<KnowledgeBase> other = KnowledgeBase::open(path());
  expect_readers_see_whole_commits(kb(), *other);
}

}  // namespace
}  // namespace refrag::testing

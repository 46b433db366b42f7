#include <gmock/gmock.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::HasSubstr;

class WriterLockTest : public StoreTest {};

TEST_F(WriterLockTest, OtherWritersAreBusyWhileOneHoldsIt) {
  create();
  const std::shared_ptr<KnowledgeBase> other = KnowledgeBase::open(path());
  {
    const auto lock = kb().lock_for_writing();
    const Error error = error_of([&] { other->commit(batch_of({"sun"})); });
    EXPECT_EQ(error.code(), ErrorCode::kBusy);
    EXPECT_THAT(error.what(), HasSubstr("refrag index"));
    EXPECT_EQ(error_of([&] { other->remove({"moon"}); }).code(), ErrorCode::kBusy);
    EXPECT_EQ(error_of([&] { other->merge(); }).code(), ErrorCode::kBusy);
    EXPECT_EQ(error_of([&] { other->lock_for_writing(); }).code(), ErrorCode::kBusy);
    EXPECT_EQ(error_of([&] { kb().lock_for_writing(); }).code(), ErrorCode::kBusy);
    kb().commit(batch_of({"moon"}));
  }
  other->commit(batch_of({"sun"}));
  EXPECT_EQ(document_ids(kb()), ids({"moon", "sun"}));
}

TEST_F(WriterLockTest, ReadersNeedNoLock) {
  create();
  kb().commit(batch_of({"moon"}));
  const auto lock = kb().lock_for_writing();
  const std::shared_ptr<KnowledgeBase> reader = KnowledgeBase::open(path());
  EXPECT_EQ(document_ids(*reader), ids({"moon"}));
  EXPECT_EQ(reader->snapshot().passage_count(), 1);
}

TEST_F(WriterLockTest, OutlivesTheKnowledgeBase) {
  create();
  auto lock = kb().lock_for_writing();
  close();
  const std::shared_ptr<KnowledgeBase> other = KnowledgeBase::open(path());
  EXPECT_EQ(error_of([&] { other->commit(batch_of({"sun"})); }).code(), ErrorCode::kBusy);
  lock.reset();
  EXPECT_NO_THROW(other->commit(batch_of({"sun"})));
}

TEST_F(WriterLockTest, IsFreeAgainAfterAFailedCommit) {
  create();
  Batch wrong = batch_of({"moon"});
  wrong.documents[0].document.id.clear();
  EXPECT_THROW(kb().commit(wrong), Error);
  EXPECT_NO_THROW(KnowledgeBase::open(path())->commit(batch_of({"moon"})));
}

TEST_F(WriterLockTest, WaitsForCommitsOfOtherThreadsAndTheyForIt) {
  create();
  std::atomic<int> refused = 0;
  std::thread committer([&] {
    for (int i = 0; i < 100; ++i) {
      try {
        kb().commit(batch_of({"moon"}));
      } catch (const Error&) {
        ++refused;
      }
    }
  });
  for (int i = 0; i < 100; ++i) {
    EXPECT_NO_THROW(kb().lock_for_writing());
  }
  committer.join();
  EXPECT_EQ(refused, 0);
}

TEST_F(WriterLockTest, CommitsOfManyThreadsOfOneHandleAllArrive) {
  create();
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([this, thread] {
      for (int i = 0; i < 10; ++i) {
        kb().commit(batch_of({"d" + std::to_string(10 * thread + i)}));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(document_ids(kb()).size(), 40);
  EXPECT_EQ(kb().snapshot().passage_count(), 40);
}

}  // namespace
}  // namespace refrag::testing

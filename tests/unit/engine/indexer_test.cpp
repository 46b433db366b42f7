#include "refrag/indexer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "support/fake_runner.h"
#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using enum DocumentStatus;

Document document_of(const std::string& id, const std::string& text) {
  return {.id = id, .title = "", .text = text, .metadata = {}};
}

std::vector<DocumentStatus> statuses(const std::vector<DocumentResult>& results) {
  std::vector<DocumentStatus> statuses;
  statuses.reserve(results.size());
  for (const DocumentResult& result : results) {
    statuses.push_back(result.status);
  }
  return statuses;
}

IndexOptions batches_of(std::size_t documents) {
  IndexOptions options;
  options.batch_documents = documents;
  return options;
}

class IndexerTest : public StoreTest {
 protected:
  void SetUp() override {
    create(runner_->info().schema);
    base_ = KnowledgeBase::open(path());
  }
  Indexer indexer(const IndexOptions& options = {}) { return Indexer(runner_, base_, options); }
  std::filesystem::path write(const std::string& name, const std::string& content) {
    std::filesystem::path path = documents_.path() / name;
    std::ofstream(path) << content;
    return path;
  }
  // notes.jsonl with documents "d0", "d1", ...
  std::filesystem::path write_lines(std::size_t count) {
    std::string lines;
    for (std::size_t i = 0; i < count; ++i) {
      lines += R"({"id": "d)" + std::to_string(i) + R"(", "text": "text number )" + std::to_string(i) + "\"}\n";
    }
    return write("notes.jsonl", lines);
  }
  std::vector<std::string> stored() const { return document_ids(*base_); }

  std::shared_ptr<FakeRunner> runner_ = std::make_shared<FakeRunner>();
  std::shared_ptr<KnowledgeBase> base_;
  TemporaryDirectory documents_;
};

TEST_F(IndexerTest, StoresPassagesChunksAndVectors) {
  EXPECT_THAT(statuses(indexer().add({document_of("moon", "The moon shines. It is far away.")})),
              ElementsAre(kCreated));

  const Snapshot snapshot = base_->snapshot();
  const auto found = snapshot.search_lexical("moon", 1, {});
  ASSERT_THAT(found, SizeIs(1));
  const StoredPassage passage = snapshot.passages(std::vector<PassageKey>{found[0].key}).at(0);
  EXPECT_EQ(passage.passage_id, "moon#0");
  EXPECT_EQ(passage.text, "The moon shines. It is far away.");
  std::vector<std::vector<TokenId>> ids;
  for (const ChunkRecord& chunk : passage.chunks) {
    ids.push_back(chunk.ids);
  }
  EXPECT_THAT(snapshot.chunk_vectors(found[0].key),
              ::testing::Pointwise(::testing::FloatNear(1e-2), runner_->encode_chunks(ids).values));
  EXPECT_THAT(snapshot.search_dense(runner_->embed_queries({passage.text}).values, 1, {}), SizeIs(1));
}

TEST_F(IndexerTest, SaysWhatBecameOfEachDocument) {
  Indexer subject = indexer();
  subject.add({document_of("a", "one"), document_of("b", "two")});

  const std::vector<DocumentResult> results =
      subject.add({document_of("a", "one"), document_of("b", "new"), document_of("c", "three"), document_of("", "x"),
                   document_of("d", " ")});

  EXPECT_THAT(statuses(results), ElementsAre(kUnchanged, kReplaced, kCreated, kError, kError));
  EXPECT_EQ(results[1].id, "b");
  EXPECT_THAT(results[3].error, HasSubstr("id is empty"));
  EXPECT_THAT(results[4].error, HasSubstr("text is blank"));
  EXPECT_EQ(base_->get("b")->document.text, "new");
  EXPECT_THAT(stored(), ElementsAre("a", "b", "c"));
}

TEST_F(IndexerTest, EncodesNothingThatIsUnchanged) {
  Indexer subject = indexer();
  subject.add({document_of("a", "one")});
  const std::size_t encoded = runner_->encoded_chunks();

  subject.add({document_of("a", "one")});

  EXPECT_EQ(runner_->encoded_chunks(), encoded);
}

TEST_F(IndexerTest, StoresTheLastOfSeveralWithOneId) {
  const std::vector<DocumentResult> results = indexer().add(
      {document_of("a", "first"), document_of("b", "x"), document_of("a", "last"), document_of("a", "last")});

  EXPECT_THAT(statuses(results), ElementsAre(kCreated, kCreated, kReplaced, kUnchanged));
  EXPECT_EQ(base_->get("a")->document.text, "last");
}

TEST_F(IndexerTest, ABlankDocumentLosesNoneOfItsId) {
  const std::vector<DocumentResult> results = indexer().add({document_of("a", "hello"), document_of("a", "\u3000")});

  EXPECT_THAT(statuses(results), ElementsAre(kCreated, kError));
  EXPECT_EQ(base_->get("a")->document.text, "hello");
}

TEST_F(IndexerTest, ComesBackToWhatIsStoredWithinABatch) {
  Indexer subject = indexer();
  subject.add({document_of("a", "old")});

  EXPECT_THAT(statuses(subject.add({document_of("a", "new"), document_of("a", "old")})),
              ElementsAre(kReplaced, kReplaced));
  EXPECT_EQ(base_->get("a")->document.text, "old");
}

TEST_F(IndexerTest, CutsAnewWhereTheOptionsDiffer) {
  const Document document = document_of("a", "One sentence stands here. Another one stands there.");
  indexer().add({document});
  IndexOptions small;
  small.passage_tokens = 16;

  EXPECT_THAT(statuses(indexer(small).add({document})), ElementsAre(kReplaced));
  EXPECT_GT(base_->get("a")->passages.size(), 1U);
}

TEST_F(IndexerTest, CommitsInBatches) {
  std::vector<std::size_t> committed;

  const IndexReport report = indexer(batches_of(4)).add_paths({write_lines(10)}, [&](const IndexProgress& progress) {
    EXPECT_EQ(stored().size(), progress.created);
    EXPECT_EQ(progress.documents_expected, 10U);
    committed.push_back(progress.created);
    return true;
  });

  EXPECT_THAT(committed, ElementsAre(4, 8, 10));
  EXPECT_EQ(report.totals.documents, 10U);
  EXPECT_EQ(report.totals.passages, 10U);
  EXPECT_GE(report.totals.chunks, 10U);
  EXPECT_FALSE(report.interrupted);
}

TEST_F(IndexerTest, StopsWhenItIsToldAndGoesOnTheNextTime) {
  const auto path = write_lines(10);
  const IndexReport first = indexer(batches_of(4)).add_paths({path}, [](const IndexProgress&) { return false; });
  EXPECT_TRUE(first.interrupted);
  EXPECT_THAT(stored(), SizeIs(4));
  const std::size_t encoded = runner_->encoded_chunks();

  const IndexReport second = indexer(batches_of(4)).add_paths({path});

  EXPECT_EQ(second.totals.unchanged, 4U);
  EXPECT_EQ(second.totals.created, 6U);
  EXPECT_THAT(stored(), SizeIs(10));
  EXPECT_EQ(runner_->encoded_chunks() - encoded, second.totals.chunks);
}

TEST_F(IndexerTest, IsNotInterruptedByWhatComesWithTheLastBatch) {
  for (const std::size_t batch : {4, 3}) {  // the last batch is full, or not
    const IndexReport report =
        indexer(batches_of(batch)).add_paths({write_lines(8)}, [](const IndexProgress& progress) {
          return progress.documents < 8;
        });

    EXPECT_EQ(report.totals.documents, 8U);
    EXPECT_FALSE(report.interrupted);
  }
}

TEST_F(IndexerTest, StopsBetweenDocumentsAndKeepsThoseItHas) {
  std::size_t asked = 0;
  const IndexReport report =
      indexer(batches_of(100)).add_paths({write_lines(10)}, {}, [&asked] { return ++asked > 6; });

  EXPECT_TRUE(report.interrupted);
  EXPECT_GT(report.totals.created, 0U);
  EXPECT_LT(report.totals.created, 10U);
  EXPECT_THAT(stored(), SizeIs(report.totals.created));
}

TEST_F(IndexerTest, CanBeStoppedWhileItCounts) {
  const IndexReport report = indexer().add_paths({write_lines(3)}, {}, [] { return true; });

  EXPECT_TRUE(report.interrupted);
  EXPECT_EQ(report.totals.documents, 0U);
}

TEST_F(IndexerTest, CanBeStoppedAmongDocumentsThatCannotBeRead) {
  const auto path = write("notes.jsonl", "{\"id\": \"a\", \"text\": \"x\"}\nbad\nbad\nbad\n");

  const IndexReport report =
      indexer().add_paths({path}, [](const IndexProgress& progress) { return progress.errors == 0; });

  EXPECT_TRUE(report.interrupted);
  EXPECT_EQ(report.totals.errors, 1U);
  EXPECT_THAT(stored(), ElementsAre("a"));
}

TEST_F(IndexerTest, ReadsANamedPipeOnceAndCanBeStoppedWhileItWaits) {
  const std::filesystem::path path = documents_.path() / "pipe.jsonl";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const int pipe = ::open(path.c_str(), O_RDWR | O_CLOEXEC);  // held open: no end of input comes
  const std::string line = R"({"id": "a", "text": "x"})"
                           "\n";
  ASSERT_EQ(::write(pipe, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  std::size_t created = 0;
  const auto note = [&created](const IndexProgress& progress) {
    EXPECT_EQ(progress.documents_expected, 0U);
    created = progress.created;
    return true;
  };

  std::size_t asked_since = 0;
  const IndexReport report =
      indexer(batches_of(1)).add_paths({path}, note, [&] { return created > 0 && ++asked_since > 3; });

  ::close(pipe);
  EXPECT_TRUE(report.interrupted);
  EXPECT_THAT(stored(), ElementsAre("a"));
}

TEST_F(IndexerTest, ReportsDocumentsThatWereLeftOutWithTheirPlace) {
  const auto path =
      write("notes.jsonl", "{\"id\": \"a\", \"text\": \"x\"}\nnonsense\n{\"id\": \"b\", \"text\": \" \"}\n");

  const IndexReport report = indexer().add_paths({path});

  EXPECT_EQ(report.totals.documents, 3U);
  EXPECT_EQ(report.totals.created, 1U);
  EXPECT_EQ(report.totals.errors, 2U);
  ASSERT_THAT(report.problems, SizeIs(2));
  EXPECT_THAT(report.problems[0].error, HasSubstr("notes.jsonl:2: "));
  EXPECT_EQ(report.problems[1].id, "b");
  EXPECT_THAT(report.problems[1].error, HasSubstr("notes.jsonl:3: text is blank"));
}

TEST_F(IndexerTest, TakesTheSampleDocuments) {
  const IndexReport report = indexer().add_paths({REFRAG_SOURCE_DIR "/tests/data/documents"});

  EXPECT_EQ(report.totals.created, 9U);
  EXPECT_EQ(report.totals.errors, 1U);
  EXPECT_EQ(base_->get("lighthouse.html")->document.title, "The lighthouse at Cape Sorrow \u2014 Coast Guide");
}

TEST_F(IndexerTest, HoldsTheWriterLockForTheWholeRun) {
  const auto other = KnowledgeBase::open(path());

  indexer(batches_of(1)).add_paths({write_lines(3)}, [&](const IndexProgress&) {
    EXPECT_EQ(error_of([&] { other->remove({"x"}); }).code(), ErrorCode::kBusy);
    return true;
  });

  EXPECT_EQ(other->remove({"d0"}), 1U);
}

TEST_F(IndexerTest, RefusesToAddWhileAnotherWriterIsAtWork) {
  const auto other = KnowledgeBase::open(path());
  const auto lock = other->lock_for_writing();

  EXPECT_EQ(error_of([&] { indexer().add({document_of("a", "x")}); }).code(), ErrorCode::kBusy);
  EXPECT_EQ(runner_->encoded_chunks(), 0U);
}

TEST_F(IndexerTest, AddsFromSeveralThreadsOneAtATime) {
  Indexer subject = indexer();
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&subject, i] {
      EXPECT_THAT(statuses(subject.add({document_of("d" + std::to_string(i), "text")})), ElementsAre(kCreated));
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }

  EXPECT_THAT(stored(), ElementsAre("d0", "d1", "d2", "d3"));
}

TEST_F(IndexerTest, StoresNothingOfABatchThatCannotBeEncoded) {
  runner_->fail_next_encode("out of memory");

  EXPECT_THROW(indexer().add({document_of("a", "x")}), Error);
  EXPECT_THAT(stored(), IsEmpty());
  EXPECT_THAT(statuses(indexer().add({document_of("a", "x")})), ElementsAre(kCreated));
}

TEST_F(IndexerTest, DryRunCountsAndWritesNothing) {
  indexer().add({document_of("d0", "text number 0"), document_of("d1", "old")});
  const auto path = write_lines(4);
  const std::size_t encoded = runner_->encoded_chunks();

  const IndexReport report = indexer(batches_of(3)).dry_run({path, path});

  EXPECT_EQ(report.totals.documents, 8U);
  EXPECT_EQ(report.totals.created, 2U);
  EXPECT_EQ(report.totals.replaced, 1U);
  EXPECT_EQ(report.totals.unchanged, 5U);
  EXPECT_EQ(report.totals.passages, 3U);
  EXPECT_EQ(runner_->encoded_chunks(), encoded);
  EXPECT_EQ(base_->get("d1")->document.text, "old");
}

TEST_F(IndexerTest, DryRunNeedsNoKnowledgeBase) {
  Indexer subject(runner_, nullptr);

  EXPECT_EQ(subject.dry_run({write_lines(3)}).totals.created, 3U);
  EXPECT_EQ(error_of([&] { subject.add({}); }).code(), ErrorCode::kInvalidArgument);
}

TEST_F(IndexerTest, RefusesABaseOfAnotherModelAndNamesWhatDiffers) {
  FakeModel model;
  model.name = "other";
  const Error error = error_of([&] { Indexer(std::make_shared<FakeRunner>(model), base_); });

  EXPECT_EQ(error.code(), ErrorCode::kIdentityMismatch);
  EXPECT_THAT(error.what(), HasSubstr("encoder \"fake\" against \"other\""));
}

TEST_F(IndexerTest, RefusesABaseWhosePassageVectorsHaveAnotherWidth) {
  FakeModel model;
  model.passage_width = 4;

  EXPECT_EQ(error_of([&] { Indexer(std::make_shared<FakeRunner>(model), base_); }).code(),
            ErrorCode::kIdentityMismatch);
}

TEST_F(IndexerTest, NamesTheOptionThatIsWrong) {
  IndexOptions options;
  options.passage_tokens = 32;
  options.overlap_tokens = 17;  // more than half: no document could be cut
  EXPECT_EQ(error_of([&] { indexer(options); }).param(), "overlap_tokens");
  EXPECT_EQ(error_of([&] { indexer(batches_of(0)); }).param(), "batch_documents");
}

}  // namespace
}  // namespace refrag::testing

#include "engine/index_document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "support/fake_runner.h"
#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::HasSubstr;

Document document_of(std::string text, Metadata metadata = {}) {
  return {.id = "id", .title = "title", .text = std::move(text), .metadata = std::move(metadata)};
}

std::string hash_of(const Document& document, const PassageOptions& options = {}) {
  return content_hash(storable_form(document), options);
}

TEST(StorableFormTest, ReplacesInvalidUtf8AndNormalizes) {
  const Document stored = storable_form(
      {.id = "id", .title = "T\xff", .text = "e\u0301\r\nb\xff", .metadata = {{"k\xff", std::string("v\xff")}}});

  EXPECT_EQ(stored.title, "T\ufffd");
  EXPECT_EQ(stored.text, "\u00e9\nb\ufffd");
  EXPECT_EQ(std::get<std::string>(stored.metadata.at("k\ufffd")), "v\ufffd");
}

TEST(StorableFormTest, NamesTheFieldThatCannotBeStored) {
  const auto problem = [](const Document& document) { return error_of([&] { storable_form(document); }); };
  Document document = document_of("x");
  document.id = "";
  EXPECT_EQ(problem(document).param(), "id");
  document.id = std::string(513, 'x');
  EXPECT_THAT(problem(document).what(), HasSubstr("id has 513 bytes; expected 1 to 512"));
  document.id = "a\xff";
  EXPECT_EQ(problem(document).param(), "id");
  EXPECT_EQ(problem(document_of(" \n")).param(), "text");
  EXPECT_EQ(problem(document_of("\u3000\u00a0")).param(), "text");  // blank as the chunker sees it
  EXPECT_EQ(problem(document_of(std::string((16u << 20) + 1, 'x'))).param(), "text");
  EXPECT_EQ(problem(document_of("x", {{"n", std::numeric_limits<double>::infinity()}})).param(), "metadata.n");
}

TEST(ContentHashTest, DependsOnAllThatDecidesTheStoredForm) {
  const Document document = document_of("text", {{"k", std::int64_t{1}}});
  const std::string hash = hash_of(document);
  Document titled = document;
  titled.title = "other";

  EXPECT_NE(hash_of(titled), hash);
  EXPECT_NE(hash_of(document_of("text2", document.metadata)), hash);
  EXPECT_NE(hash_of(document, {.passage_tokens = 100}), hash);
  EXPECT_NE(hash_of(document, {.overlap_tokens = 1}), hash);
  EXPECT_NE(hash_of(document, {.chunk_size = 8}), hash);
  EXPECT_NE(hash_of(document_of("text", {{"k", 1.0}})), hash);
  EXPECT_NE(hash_of(document_of("text", {{"k", std::string("1")}})), hash);
  EXPECT_NE(hash_of(document_of("text", {{"k", true}})), hash);
}

TEST(ContentHashTest, DependsOnNothingElse) {
  Document renamed = document_of("a\nb");
  renamed.id = "other";

  EXPECT_EQ(hash_of(renamed), hash_of(document_of("a\nb")));
  EXPECT_EQ(hash_of(document_of("a\r\nb")), hash_of(document_of("a\nb")));
}

TEST(CutDocumentTest, CountsPlacesInCodePoints) {
  const FakeTokenizer tokenizer;
  const CutDocument cut = cut_document(document_of("\u00e9\u00e9\u00e9."), "hash", tokenizer, {.chunk_size = 4});

  ASSERT_EQ(cut.record.passages.size(), 1U);
  const PassageRecord& passage = cut.record.passages[0];
  EXPECT_EQ(passage.start, 0U);
  EXPECT_EQ(passage.end, 4U);
  EXPECT_EQ(cut.passage_bytes[0].end, 7U);
  ASSERT_EQ(passage.chunks.size(), 2U);  // 7 tokens, a byte each
  EXPECT_EQ(passage.chunks[0].end, passage.chunks[1].start);
  EXPECT_EQ(passage.chunks[1].end, 4U);
  EXPECT_EQ(cut.record.content_hash, "hash");
}

TEST(AddVectorsTest, GivesEachPassageItsOwnRows) {
  const FakeRunner runner;
  std::vector<CutDocument> documents;
  for (const char* text : {"one sentence here.", "two"}) {
    documents.push_back(cut_document(document_of(text), "hash", *runner.info().tokenizer, {.chunk_size = 4}));
  }

  add_vectors(documents, runner, runner.info().schema);

  const PassageRecord& first = documents[0].record.passages.at(0);
  const PassageRecord& second = documents[1].record.passages.at(0);
  EXPECT_EQ(first.chunk_vectors.size(), first.chunks.size() * runner.info().chunk_width);
  EXPECT_EQ(second.chunk_vectors, runner.encode_chunks({second.chunks.at(0).ids}).values);
  EXPECT_EQ(first.vector, runner.embed_passages({"one sentence here."}).values);
  EXPECT_EQ(second.vector, runner.embed_passages({"two"}).values);
}

/// A model whose passage vectors follow from its chunk vectors.
class MeanRunner : public FakeRunner {
 public:
  MeanRunner() : FakeRunner(equal_widths()), info_(FakeRunner::info()) { info_.passages_are_mean_of_chunks = true; }
  const ModelInfo& info() const override { return info_; }
  Matrix embed_passages(const std::vector<std::string>&) const override {
    throw Error(ErrorCode::kInternal, "the text is read a second time");
  }

 private:
  static FakeModel equal_widths() {
    FakeModel model;
    model.passage_width = model.chunk_width;
    return model;
  }

  ModelInfo info_;
};

TEST(AddVectorsTest, ReadsATextOnceWherePassageVectorsAreTheMeanOfChunkVectors) {
  const MeanRunner runner;
  std::vector<CutDocument> documents = {
      cut_document(document_of("one sentence here."), "hash", *runner.info().tokenizer, {.chunk_size = 4})};

  add_vectors(documents, runner, runner.info().schema);

  const PassageRecord& passage = documents[0].record.passages.at(0);
  const std::size_t chunks = passage.chunks.size();
  ASSERT_GT(chunks, 2U);
  std::vector<double> mean(8, 0.0);
  for (std::size_t i = 0; i < chunks * 8; ++i) mean[i % 8] += passage.chunk_vectors[i] / static_cast<double>(chunks);
  const double length = std::sqrt(std::inner_product(mean.begin(), mean.end(), mean.begin(), 0.0));
  for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(passage.vector.at(i), mean[i] / length, 1e-6);
}

}  // namespace
}  // namespace refrag::testing

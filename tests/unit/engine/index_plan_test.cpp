#include "engine/index_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/fake_runner.h"

namespace refrag::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using enum DocumentStatus;

constexpr PassageOptions kTwoTokens{.passage_tokens = 2, .overlap_tokens = 0, .chunk_size = 2};
const std::string kUncuttable = "\u20ac";  // one character of three tokens: no passage of two can hold it

IndexPlan plan(const std::vector<std::string>& texts, const std::string& stored = "") {
  std::vector<Document> documents;
  documents.reserve(texts.size());
  for (const std::string& text : texts) {
    documents.push_back({.id = "a", .title = "", .text = text, .metadata = {}});
  }
  const std::string stored_hash =
      stored.empty()
          ? ""
          : content_hash(storable_form({.id = "a", .title = "", .text = stored, .metadata = {}}), kTwoTokens);
  const HashesOf hashes = [&](const std::vector<std::string>& ids) {
    return std::vector<std::string>(ids.size(), stored_hash);
  };
  return plan_batch(documents, hashes, FakeTokenizer(), kTwoTokens);
}

std::vector<DocumentStatus> statuses(const IndexPlan& plan) {
  std::vector<DocumentStatus> statuses;
  for (const DocumentResult& result : plan.results) {
    statuses.push_back(result.status);
  }
  return statuses;
}

std::vector<std::string> texts(const IndexPlan& plan) {
  std::vector<std::string> texts;
  for (const CutDocument& document : plan.documents) {
    texts.push_back(document.record.document.text);
  }
  return texts;
}

TEST(PlanBatchTest, ADocumentThatCannotBeStoredLosesNoneOfItsId) {
  for (const std::string& bad : {kUncuttable, std::string("\u3000")}) {
    const IndexPlan result = plan({"x", bad});
    EXPECT_THAT(statuses(result), ElementsAre(kCreated, kError));
    EXPECT_THAT(texts(result), ElementsAre("x"));
    EXPECT_EQ(result.passages, 1U);
  }
}

TEST(PlanBatchTest, TheSameContentCannotBeStoredTwice) {
  const IndexPlan result = plan({kUncuttable, "x", kUncuttable, kUncuttable});
  EXPECT_THAT(statuses(result), ElementsAre(kError, kCreated, kError, kError));
  EXPECT_THAT(texts(result), ElementsAre("x"));
}

TEST(PlanBatchTest, WhatIsStoredStaysWhereTheNewCannotBeStored) {
  const IndexPlan result = plan({"x", kUncuttable}, "x");
  EXPECT_THAT(statuses(result), ElementsAre(kUnchanged, kError));
  EXPECT_THAT(texts(result), IsEmpty());
}

TEST(PlanBatchTest, NothingIsCutWhereTheLastIsWhatIsStored) {
  const IndexPlan result = plan({"y", "x", "x"}, "x");
  EXPECT_THAT(statuses(result), ElementsAre(kReplaced, kReplaced, kUnchanged));
  EXPECT_THAT(texts(result), IsEmpty());
}

}  // namespace
}  // namespace refrag::testing

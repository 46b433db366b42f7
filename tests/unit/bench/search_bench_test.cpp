#include "bench/search_bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/errors.h"

namespace refrag::bench {
namespace {

TEST(SearchBench, ExactIndexesFindEverything) {
  SearchPlan plan;
  plan.passages = 300;  // few enough for a flat index, which is exact
  plan.width = 16;
  plan.queries = 5;
  std::size_t done = 0;
  const SearchReport report = measure_search(plan, [&](std::size_t queries) { done = queries; });
  EXPECT_EQ(done, 5U);
  EXPECT_DOUBLE_EQ(report.recall, 1);
  EXPECT_EQ(report.dense.size(), 5U);
  EXPECT_EQ(report.hybrid.size(), 5U);
  EXPECT_GT(report.bytes_a_passage, 16 * 4);
  EXPECT_EQ(to_json(report)["recall"], 1.0);
  EXPECT_THAT(to_markdown(report), ::testing::HasSubstr("recall@10"));
}

TEST(SearchBench, RefusesWhatCannotBeSearched) {
  const auto refused = [](const auto& change) {
    SearchPlan plan;
    change(plan);
    return refrag::testing::error_of([&] { measure_search(plan, {}); }).param();
  };
  EXPECT_EQ(refused([](SearchPlan& plan) { plan.passages = 0; }), "--passages");
  EXPECT_EQ(refused([](SearchPlan& plan) { plan.width = 0; }), "--width");
  EXPECT_EQ(refused([](SearchPlan& plan) { plan.queries = 0; }), "--queries");
  EXPECT_EQ(refused([](SearchPlan& plan) { plan.top_k = 500; }), "--top-k");
}

}  // namespace
}  // namespace refrag::bench

#include "bench/latency.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/random_model.h"
#include "engine/bundle_runner.h"
#include "support/errors.h"

namespace refrag::bench {
namespace {

using refrag::testing::error_of;
using ::testing::HasSubstr;

TEST(LatencyPlan, RefusesWhatCannotBeRunByItsOption) {
  const auto refused = [](const auto& change) {
    LatencyPlan plan;
    change(plan);
    return error_of([&] { check(plan); }).param();
  };
  EXPECT_EQ(refused([](LatencyPlan& plan) { plan.contexts = {300}; }), "--contexts");
  EXPECT_EQ(refused([](LatencyPlan& plan) { plan.contexts = {}; }), "--contexts");
  EXPECT_EQ(refused([](LatencyPlan& plan) { plan.contexts = {1U << 20}; }), "--contexts");
  EXPECT_EQ(refused([](LatencyPlan& plan) { plan.chunk_sizes = {0}; }), "--k");
  EXPECT_EQ(refused([](LatencyPlan& plan) { plan.expand = {1.5}; }), "--expand");
  EXPECT_EQ(refused([](LatencyPlan& plan) { plan.batches = {100}; }), "--batch");
  EXPECT_EQ(refused([](LatencyPlan& plan) { plan.tokens = 1; }), "--tokens");
  EXPECT_EQ(refused([](LatencyPlan& plan) { plan.repeat = 0; }), "--repeat");
  check(LatencyPlan());
}

TEST(LatencySettings, AreFullContextAndEveryWayToCompress) {
  LatencyPlan plan;
  plan.chunk_sizes = {8, 16};
  plan.expand = {0, 0.1};
  std::vector<std::string> labels;
  for (const LatencySetting& setting : settings_of(plan, 512)) labels.push_back(label_of(setting));
  EXPECT_THAT(labels,
              ::testing::ElementsAre("full context", "k=8, cached", "k=8, on the spot", "k=8, cached, 10 % expanded",
                                     "k=8, on the spot, 10 % expanded", "k=16, cached", "k=16, on the spot",
                                     "k=16, cached, 10 % expanded", "k=16, on the spot, 10 % expanded"));
}

TEST(Latency, EverySettingRunsThroughTheEngine) {
  const RandomModel model({.decoder = "tiny", .encoder = "tiny", .layers = 1, .threads = 1});
  LatencyPlan plan;
  plan.contexts = {512};
  plan.chunk_sizes = {16};
  plan.expand = {0, 0.25};
  plan.batches = {1, 2};
  plan.tokens = 3;
  plan.repeat = 2;
  plan.kv_cache_bytes = 64 << 20;
  const auto make_runner = [&](std::size_t size) { return std::make_shared<BundleRunner>(model.bundle(size)); };
  std::size_t last = 0;
  const std::vector<LatencyRow> rows = measure_latency(plan, model.tokenizer(), make_runner,
                                                       [&](std::size_t done, std::size_t total, const std::string&) {
                                                         EXPECT_GE(done, last);
                                                         EXPECT_LT(done, total);
                                                         last = done;
                                                       });
  ASSERT_EQ(rows.size(), 5U);
  const std::size_t full_positions = rows[0].usage.prompt_positions;
  EXPECT_GT(full_positions, 512U);
  for (const LatencyRow& row : rows) {
    EXPECT_EQ(row.error, "");
    EXPECT_EQ(row.cold.size(), 1U);
    EXPECT_EQ(row.warm.size(), 2U);
    EXPECT_EQ(row.steady.size(), 2U);
    ASSERT_EQ(row.batches.size(), 2U);
    EXPECT_EQ(row.batches[0].batch, 1U);
    EXPECT_EQ(row.batches[1].batch, 2U);
    EXPECT_EQ(row.batches[1].tokens, 6U);
    EXPECT_EQ(row.batches[1].elapsed_ms.size(), 2U);
    EXPECT_EQ(row.usage.encoded_chunks, row.setting.cached ? 0U : 32U);
    const std::size_t compressed = row.setting.mode == Mode::kFull ? 0 : 32 - row.usage.expanded;
    EXPECT_EQ(row.usage.prompt_positions, full_positions - 15 * compressed) << label_of(row.setting);
  }
  EXPECT_EQ(rows[1].usage.expanded, 0U);
  EXPECT_EQ(rows[3].usage.expanded, 8U);
}

TEST(Latency, ASettingThatCannotRunKeepsItsReason) {
  const RandomModel model({.decoder = "tiny", .encoder = "tiny", .layers = 1, .max_positions = 400, .threads = 1});
  LatencyPlan plan;
  plan.contexts = {512};
  plan.chunk_sizes = {16};
  plan.expand = {0};
  plan.tokens = 2;
  plan.repeat = 1;
  const auto make_runner = [&](std::size_t size) { return std::make_shared<BundleRunner>(model.bundle(size)); };
  const std::vector<LatencyRow> rows = measure_latency(plan, model.tokenizer(), make_runner, {});
  EXPECT_THAT(rows[0].error, HasSubstr("context length is 400"));
  EXPECT_EQ(rows[1].error, "");
}

}  // namespace
}  // namespace refrag::bench

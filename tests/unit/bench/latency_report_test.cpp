#include "bench/latency_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refrag::bench {
namespace {

using ::testing::HasSubstr;

Timings timings(double prefill, double before, double per_token) {
  Timings timings;
  timings.prefill = prefill;
  timings.ttft = prefill + before;
  timings.per_token = per_token;
  timings.total = timings.ttft + 9 * per_token;
  return timings;
}

LatencyRow row(const LatencySetting& setting, std::size_t positions, const Timings& run) {
  LatencyRow row{setting, {}, {run}, {run, run}, {run, run}};
  row.usage.prompt_positions = positions;
  row.usage.completion_tokens = 10;
  row.usage.chunks = 1024;
  row.batches = {{1, 10, {run.total, run.total}}};
  return row;
}

/// Two rows of 16,384 tokens with round figures: full context in 1,000 ms, refrag in 100.
LatencyReport report() {
  LatencyReport report;
  report.decoder = {"shape", 2, 64, 4, 4, 16, 128, 1000, false};
  report.layers_run = 2;
  report.encoder = {"encoder", 2, 64, 128};
  report.dtype = "fp32";
  report.bytes_a_value = 4;
  report.bytes_a_weight = 4;
  report.threads = 2;
  report.processor = "a processor";
  report.machine = {1e12, 1e10, 1, {{64, 1e11}}};
  report.plan.contexts = {16384};
  report.plan.chunk_sizes = {16};
  report.plan.expand = {0};
  const std::vector<LatencySetting> settings = settings_of(report.plan, 16384);
  report.rows = {row(settings[0], 16400, timings(990, 10, 20)), row(settings[1], 1040, timings(80, 20, 10)),
                 row(settings[2], 1040, timings(80, 120, 10))};
  return report;
}

TEST(LatencyReport, RatiosAreOfTheWholeTtft) {
  const LatencyReport of = report();
  const LatencyFigures cached = figures_of(of, of.rows[1]);
  EXPECT_DOUBLE_EQ(cached.steady_ratio.median, 10);
  EXPECT_EQ(cached.steady_ratio.count, 2U);
  EXPECT_EQ(cached.cold_ratio.count, 1U);
  EXPECT_DOUBLE_EQ(figures_of(of, of.rows[2]).steady_ratio.median, 5);
  EXPECT_DOUBLE_EQ(cached.per_token_ratio.median, 2);
  EXPECT_EQ(cached.paper_ratio, 16.53);
  EXPECT_EQ(figures_of(of, of.rows[0]).steady_ratio.count, 0U);
}

TEST(LatencyReport, IdealCountsOperationsAtMeasuredRates) {
  const LatencyReport of = report();
  const OperationRates rates = of.machine.rates();
  const double full = ideal_prefill_ms(of.decoder, 16400, rates);
  const double compressed = ideal_prefill_ms(of.decoder, 1040, rates);
  const LatencyFigures cached = figures_of(of, of.rows[1]);
  EXPECT_DOUBLE_EQ(*cached.ideal_ratio, full / compressed);
  EXPECT_DOUBLE_EQ(*cached.share_of_ideal, 10 / (full / compressed));
  EXPECT_DOUBLE_EQ(*figures_of(of, of.rows[2]).ideal_ratio,
                   full / (compressed + ideal_encode_ms(of.encoder, 1024, 18, rates)));
}

TEST(LatencyReport, SharesAreOfTheMachinesCeilings) {
  const LatencyReport of = report();
  const LatencyFigures full = figures_of(of, of.rows[0]);
  EXPECT_NEAR(full.prefill_share, prefill_operations(of.decoder, 16400).sum() / 0.99 / 1e12, 1e-12);
  const double bytes = 4 * weights_a_token(of.decoder) + 16400 * kv_bytes_a_position(of.decoder, 4);
  EXPECT_NEAR(full.decode_share, bytes / 0.02 / 1e10, 1e-12);
  EXPECT_EQ(full.kv_bytes, 16410 * kv_bytes_a_position(of.decoder, 4));
}

TEST(LatencyReport, ThroughputIsEndToEnd) {
  const LatencyReport of = report();
  const LatencyFigures::Throughput throughput = figures_of(of, of.rows[1]).throughput.at(0);
  EXPECT_DOUBLE_EQ(throughput.prompts.median, 1000.0 / 190);
  EXPECT_DOUBLE_EQ(throughput.tokens.median, 10000.0 / 190);
  EXPECT_DOUBLE_EQ(throughput.ratio.median, 1180.0 / 190);
}

TEST(LatencyReport, ThroughputAtTheBestBatchOfEach) {
  LatencyReport of = report();
  of.rows[0].batches.push_back({4, 40, {2360}});  // twice as many prompts a second as one at a time
  of.rows[1].batches.push_back({4, 40, {190}});   // four times
  const LatencyFigures figures = figures_of(of, of.rows[1]);
  EXPECT_DOUBLE_EQ(*figures.best_throughput_ratio, (4 / 0.19) / (4 / 2.36));
  EXPECT_THAT(to_markdown(of), HasSubstr("| best of each |"));
}

TEST(LatencyReport, FewerLayersAreScaledAndSaidToBe) {
  LatencyReport of = report();
  of.layers_run = 1;
  const LatencyFigures cached = figures_of(of, of.rows[1]);
  EXPECT_DOUBLE_EQ(cached.ttft.steady[0], 20 + 1 + 79 * 2);  // what is not of the layers stays
  EXPECT_DOUBLE_EQ(cached.per_token[0], 1 + 9 * 2);
  EXPECT_THAT(to_markdown(of), HasSubstr("Computed from measured layers"));
  EXPECT_EQ(to_json(of)["layers_run"], 1);
}

TEST(LatencyReport, JsonHasEveryFigureAndTheMachine) {
  const Json json = to_json(report());
  EXPECT_EQ(json["machine"]["gemm_gflops"], 1000);
  const Json& cached = json["rows"][1];
  EXPECT_EQ(cached["k"], 16);
  EXPECT_EQ(cached["cached"], true);
  EXPECT_EQ(cached["ttft_ms"]["steady"]["median"], 100);
  EXPECT_EQ(cached["ttft_ratio"]["warm"]["max"], 10);
  EXPECT_EQ(cached["paper_ratio"], 16.53);
  EXPECT_EQ(cached["phases_ms"]["prefill"], 80);
  EXPECT_EQ(cached["throughput"][0]["batch"], 1);
  EXPECT_TRUE(cached["peak_memory_bytes"].is_null());
  EXPECT_TRUE(json["rows"][0]["ideal_ratio"].is_null());
}

TEST(LatencyReport, ARowThatCouldNotRunSaysWhyAndStopsNoOther) {
  LatencyReport of = report();
  of.rows[0] = {of.rows[0].setting, {}, {}, {}, {}};
  of.rows[0].error = "no memory";
  EXPECT_EQ(to_json(of)["rows"][0]["error"], "no memory");
  EXPECT_THAT(to_markdown(of), HasSubstr("could not run: no memory"));
  EXPECT_TRUE(to_json(of)["rows"][1]["ideal_ratio"].is_null());  // nothing to compare with
}

TEST(LatencyReport, ChartsShowRatiosAndTimes) {
  const std::vector<SvgChart> charts = charts_of(report());
  ASSERT_EQ(charts.size(), 2U);
  EXPECT_EQ(charts[0].series.size(), 3U);  // cached, its ideal, on the spot
  EXPECT_EQ(charts[0].references.size(), 2U);
  EXPECT_EQ(charts[1].series.size(), 3U);
  EXPECT_DOUBLE_EQ(charts[1].series[1].points.at(0).y, 100);
  EXPECT_THAT(to_svg(charts), HasSubstr("<svg"));
}

}  // namespace
}  // namespace refrag::bench

#include "engine/calibration.h"

#include <gtest/gtest.h>

#include <set>

#include "refrag/error.h"
#include "support/fake_runner.h"

namespace refrag {
namespace {

using testing::FakeRunner;

/// The sizes that were measured, ascending.
std::set<std::size_t> sizes_of(const FakeRunner& runner) {
  std::set<std::size_t> sizes;
  for (const auto& shares : runner.steps()) sizes.insert(shares.at(0).count);
  return sizes;
}

TEST(CalibrationTest, EachCallMeasuresOnePrefillTwice) {
  FakeRunner runner;
  Calibration calibration(2048);
  EXPECT_FALSE(calibration.is_done());
  calibration.measure_next(runner);
  EXPECT_EQ(runner.steps().size(), 2u);
  EXPECT_EQ(sizes_of(runner).size(), 1u);
  EXPECT_EQ(runner.open_sequences(), 0u);
}

TEST(CalibrationTest, EndsWithAModelOfSeveralSizes) {
  FakeRunner runner;
  Calibration calibration(2048);
  while (!calibration.is_done()) calibration.measure_next(runner);
  EXPECT_GE(sizes_of(runner).size(), 3u) << "what a curve of three terms needs";
  const LatencyModel latency = calibration.result();
  EXPECT_GT(latency.prefill_ms(100), 0);
  EXPECT_GE(latency.prefill_ms(1000), latency.prefill_ms(100));
  EXPECT_EQ(runner.open_sequences(), 0u);
}

TEST(CalibrationTest, NothingLongerThanASequenceMayBeIsMeasured) {
  for (const std::size_t longest : {1u, 15u, 100u}) {
    FakeRunner runner;
    Calibration calibration(longest);
    while (!calibration.is_done()) calibration.measure_next(runner);
    EXPECT_LE(*sizes_of(runner).rbegin(), longest);
    EXPECT_GE(calibration.result().prefill_ms(longest), 0);
  }
}

TEST(CalibrationTest, AMeasurementThatFailsClosesItsSequence) {
  FakeRunner runner;
  runner.fail_next_step("overheated");
  Calibration calibration(2048);
  EXPECT_THROW(calibration.measure_next(runner), Error);
  EXPECT_EQ(runner.open_sequences(), 0u);
}

}  // namespace
}  // namespace refrag

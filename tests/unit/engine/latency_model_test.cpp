#include "engine/latency_model.h"

#include <gtest/gtest.h>

#include <vector>

#include "refrag/error.h"

namespace refrag {
namespace {

std::vector<PrefillMeasurement> measure(const std::vector<std::size_t>& sizes, double a, double b, double c) {
  std::vector<PrefillMeasurement> measured;
  for (const std::size_t n : sizes) {
    const auto x = static_cast<double>(n);
    measured.push_back({n, a + b * x + c * x * x});
  }
  return measured;
}

TEST(LatencyModelTest, FindsTheCurveThatMadeTheMeasurements) {
  const LatencyModel model = LatencyModel::fit(measure({16, 64, 256, 512}, 2, 0.05, 1e-4));
  EXPECT_NEAR(model.prefill_ms(1000), 2 + 50 + 100, 0.01);
  EXPECT_LT(model.error(), 1e-6);
}

TEST(LatencyModelTest, FewerSizesGiveASimplerCurve) {
  EXPECT_NEAR(LatencyModel::fit(measure({10, 20}, 1, 0.1, 0)).prefill_ms(100), 11, 1e-6);
  EXPECT_NEAR(LatencyModel::fit(measure({10}, 3, 0, 0)).prefill_ms(100), 3, 1e-6);
}

TEST(LatencyModelTest, NoTermMakesALongerPromptFaster) {
  const LatencyModel model = LatencyModel::fit(measure({16, 64, 256, 512}, 1, 0.1, -1e-4));
  EXPECT_GT(model.prefill_ms(4000), model.prefill_ms(512));
}

TEST(LatencyModelTest, TellsItsLargestRelativeError) {
  const std::vector<PrefillMeasurement> measured = {{100, 10}, {100, 20}};
  const LatencyModel model = LatencyModel::fit(measured);
  EXPECT_GT(model.error(), 0.2);
  EXPECT_LE(model.error(), 1.0);
}

TEST(LatencyModelTest, WithoutMeasurementsThereIsNone) { EXPECT_THROW(LatencyModel::fit({}), Error); }

}  // namespace
}  // namespace refrag

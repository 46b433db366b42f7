#include "eval/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace refrag {
namespace {

TEST(BootstrapTest, FirstIsTheSampleItself) {
  const auto sums = resampled_sums({{1, 2, 3}, {1, 1, 1}}, 10, 1);
  ASSERT_EQ(sums.size(), 2U);
  ASSERT_EQ(sums[0].size(), 11U);
  EXPECT_EQ(sums[0][0], 6);
  EXPECT_EQ(estimate(ratio(sums[0], sums[1])).value, 2);
  for (const double drawn : sums[1]) {
    EXPECT_EQ(drawn, 3);  // as many units in every draw
  }
}

TEST(BootstrapTest, ColumnsShareTheirDraws) {
  const std::vector<double> values = {3, 1, 4, 1, 5, 9, 2, 6};
  std::vector<double> shifted = values;
  for (double& value : shifted) value += 10;
  const auto sums = resampled_sums({values, shifted}, 200, 1);
  for (std::size_t n = 0; n < sums[0].size(); ++n) {
    EXPECT_NEAR(sums[1][n] - sums[0][n], 80, 1e-9);
  }
}

TEST(BootstrapTest, TheIntervalOfAMeanIsTheNormalOne) {
  std::mt19937_64 draw(5);
  std::vector<double> values;
  double squares = 0;
  double mean = 0;
  for (int n = 0; n < 400; ++n) {
    values.push_back(static_cast<double>(draw() % 1000) / 1000);
    mean += values.back() / 400;
  }
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double error = std::sqrt(squares / 400 / 400);
  const auto sums = resampled_sums({values, std::vector<double>(400, 1)}, 4000, 9);
  const Estimate result = estimate(ratio(sums[0], sums[1]));
  EXPECT_NEAR(result.interval.low, mean - 1.96 * error, 0.15 * error);
  EXPECT_NEAR(result.interval.high, mean + 1.96 * error, 0.15 * error);
}

TEST(BootstrapTest, GapIsTheShareOfTheWay) {
  const auto gap = gap_estimate({4, 4, 5}, {3, 2, 4}, {2, 2, 3}, true);
  ASSERT_TRUE(gap.has_value());
  EXPECT_DOUBLE_EQ(gap->value, 0.5);
  EXPECT_NEAR(gap->interval.low, 0.5125, 1e-12);  // of 1 and 0.5
  EXPECT_NEAR(gap->interval.high, 0.9875, 1e-12);
}

TEST(BootstrapTest, WhereFullContextIsNoBetterThereIsNoGap) {
  EXPECT_FALSE(gap_estimate({2}, {2}, {2}, true).has_value());
  EXPECT_FALSE(gap_estimate({2}, {3}, {4}, true).has_value());
  EXPECT_TRUE(gap_estimate({2}, {3}, {4}, false).has_value());
}

TEST(BootstrapTest, WithoutResamplesTheIntervalIsThePoint) {
  const auto sums = resampled_sums({{1, 2}}, 0, 1);
  EXPECT_EQ(estimate(sums[0]).interval.low, 3);
  EXPECT_EQ(estimate(sums[0]).interval.high, 3);
}

TEST(BootstrapTest, FiguresThatAreNotFiniteAreLeftOutOfTheInterval) {
  const double inf = std::numeric_limits<double>::infinity();
  const Estimate result = estimate({1, inf, 2, std::nan(""), 2});
  EXPECT_EQ(result.interval.low, 2);
  EXPECT_EQ(result.interval.high, 2);
}

}  // namespace
}  // namespace refrag

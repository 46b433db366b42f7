#include "bench/spread.h"

#include <gtest/gtest.h>

namespace refrag::bench {
namespace {

TEST(Percentile, InterpolatesBetweenTheTwoNearestRanks) {
  EXPECT_DOUBLE_EQ(percentile({4, 1, 3, 2}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(percentile({10, 20}, 0.95), 19.5);
  EXPECT_DOUBLE_EQ(percentile({3, 1, 2}, 0), 1);
  EXPECT_DOUBLE_EQ(percentile({3, 1, 2}, 1), 3);
}

TEST(Percentile, OfNothingIsNothing) { EXPECT_EQ(percentile({}, 0.5), 0); }

TEST(Spread, SaysMedianAndHowFarTheRunsWent) {
  const Spread spread = spread_of({5, 1, 9});
  EXPECT_EQ(spread.count, 3U);
  EXPECT_EQ(spread.median, 5);
  EXPECT_EQ(spread.least, 1);
  EXPECT_EQ(spread.most, 9);
  EXPECT_EQ(text_of(spread, 1), "5.0 (1.0 to 9.0)");
}

TEST(Spread, ComparesRunsOfTheSameRound) {
  const Spread spread = spread_of_ratios({10, 30, 100}, {5, 3});
  EXPECT_EQ(spread.count, 2U);
  EXPECT_EQ(spread.least, 2);
  EXPECT_EQ(spread.most, 10);
  EXPECT_EQ(spread_of_ratios({1, 2}, {0, 1}).count, 1U);  // no quotient by 0
}

TEST(Spread, WithoutRunsIsADashAndNull) {
  EXPECT_EQ(text_of(Spread(), 1), "-");
  EXPECT_TRUE(to_json(Spread()).is_null());
  EXPECT_EQ(to_json(spread_of({2})), Json({{"median", 2.0}, {"min", 2.0}, {"max", 2.0}, {"runs", 1}}));
}

}  // namespace
}  // namespace refrag::bench

#include "train/curriculum.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <vector>

#include "train/schedule.h"

namespace refrag::train {
namespace {

TEST(CurriculumTest, CountsAreThePapersTable) {
  const std::map<std::int64_t, std::vector<std::int64_t>> table = {
      {1, {1333, 445, 148, 49, 16, 6, 2, 1, 0}},         {2, {333, 298, 267, 238, 213, 191, 171, 153, 137}},
      {4, {83, 102, 126, 156, 193, 238, 293, 362, 447}}, {8, {20, 35, 61, 106, 185, 324, 565, 985, 1719}},
      {16, {5, 11, 23, 48, 103, 220, 468, 997, 2125}},   {32, {1, 3, 7, 19, 50, 133, 353, 939, 2496}},
      {64, {1, 3, 9, 25, 73, 212, 618, 1802, 5259}},     {128, {1, 3, 9, 25, 73, 212, 618, 1802, 5259}},
      {256, {1, 3, 9, 25, 73, 212, 618, 1802, 5259}}};
  for (const auto& [chunks, counts] : table) {
    const auto found = Curriculum::counts(chunks);
    EXPECT_EQ(std::vector<std::int64_t>(found.begin(), found.end()), counts) << chunks;
  }
}

/// The share of examples of each size at one place of the training.
std::map<std::int64_t, double> shares_at(const Curriculum& curriculum, double progress) {
  std::map<std::int64_t, double> shares;
  Draw draw({1, 2});
  constexpr int kDraws = 20000;
  for (int n = 0; n < kDraws; ++n) shares[curriculum.draw_size(progress, draw)] += 1.0 / kDraws;
  return shares;
}

TEST(CurriculumTest, ExamplesAreMixedAsTheStageSays) {
  const Curriculum curriculum(4, /*even=*/true);
  const auto first = shares_at(curriculum, 0.0);
  EXPECT_NEAR(first.at(1), 1333.0 / (1333 + 333 + 83), 0.01);
  EXPECT_NEAR(first.at(4), 83.0 / (1333 + 333 + 83), 0.01);
  const auto last = shares_at(curriculum, 0.999);
  EXPECT_FALSE(last.contains(1));
  EXPECT_NEAR(last.at(4), 447.0 / (137 + 447), 0.01);
}

TEST(CurriculumTest, StagesTakeTheirShareOfTheChunks) {
  const Curriculum even(256, true);
  EXPECT_EQ(even.stage_at(0.0), 0U);
  EXPECT_EQ(even.stage_at(0.5), 4U);
  EXPECT_EQ(even.stage_at(0.9999), 8U);
  // In the table the last stage has more than half of all chunks.
  const Curriculum table(256, false);
  EXPECT_EQ(table.stage_at(0.5), 8U);
  EXPECT_EQ(table.stage_at(0.0), 0U);
}

TEST(ScheduleTest, RisesInALineAndFallsAlongACosine) {
  OptimizerConfig config;
  config.learning_rate = 1;
  config.warmup = 0.1;
  config.final_share = 0.1;
  EXPECT_DOUBLE_EQ(learning_rate_at(0, 100, config), 0.1);
  EXPECT_DOUBLE_EQ(learning_rate_at(9, 100, config), 1.0);
  EXPECT_DOUBLE_EQ(learning_rate_at(10, 100, config), 1.0);
  EXPECT_NEAR(learning_rate_at(99, 100, config), 0.1, 1e-12);
  const double half = learning_rate_at(10 + 44, 100, config) + learning_rate_at(10 + 45, 100, config);
  EXPECT_NEAR(half / 2, 0.55, 1e-3);
}

TEST(DrawTest, APermutationVisitsEachPlaceOnce) {
  for (const std::uint64_t size : {1U, 2U, 7U, 64U, 1000U}) {
    std::set<std::uint64_t> seen;
    for (std::uint64_t n = 0; n < size; ++n) seen.insert(shuffled(n, size, 99));
    EXPECT_EQ(seen.size(), size);
    EXPECT_LT(*seen.rbegin(), size);
  }
  EXPECT_NE(shuffled(3, 1000, 1), shuffled(3, 1000, 2));
}

TEST(DrawTest, DrawsAreAFunctionOfTheirPurpose) {
  Draw one({1, 2});
  Draw again({1, 2});
  Draw other({1, 3});
  const std::uint64_t first = one.next();
  EXPECT_EQ(first, again.next());
  EXPECT_NE(first, other.next());
  EXPECT_EQ(one.sample(5, 9).size(), 5U);
}

}  // namespace
}  // namespace refrag::train

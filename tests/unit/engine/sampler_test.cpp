#include "engine/sampler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "refrag/error.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;

const std::vector<float> kLogits = {0, 2, 2, -1};

SamplingOptions at_temperature(double temperature, std::uint64_t seed = 0) {
  SamplingOptions options;
  options.temperature = temperature;
  options.seed = seed;
  return options;
}

TEST(SamplerTest, GreedyTakesTheFirstOfTheMostLikely) { EXPECT_EQ(pick_token(kLogits, {}, {}, 0), 1); }

TEST(SamplerTest, GreedyCountsTheRepetitionPenalty) {
  SamplingOptions options;
  options.repetition_penalty = 1.5;
  const std::vector<TokenId> history = {1, 1, 0};
  EXPECT_EQ(pick_token(kLogits, history, options, 0), 2);
}

TEST(SamplerTest, TheDrawDependsOnSeedAndIndexAlone) {
  const std::vector<float> flat(1000, 0.0f);
  const TokenId drawn = pick_token(flat, {}, at_temperature(1, 7), 3);
  EXPECT_EQ(pick_token(flat, {}, at_temperature(1, 7), 3), drawn);
  EXPECT_NE(pick_token(flat, {}, at_temperature(1, 7), 4), drawn);
  EXPECT_NE(pick_token(flat, {}, at_temperature(1, 8), 3), drawn);
}

TEST(SamplerTest, DrawsFollowTheProbabilities) {
  const std::vector<float> logits = {std::log(0.2f), std::log(0.5f), std::log(0.3f)};
  std::vector<int> counts(3, 0);
  constexpr int kDraws = 20000;
  for (int n = 0; n < kDraws; ++n) ++counts[static_cast<std::size_t>(pick_token(logits, {}, at_temperature(1), n))];
  EXPECT_NEAR(counts[0], 0.2 * kDraws, 300);  // five standard deviations
  EXPECT_NEAR(counts[1], 0.5 * kDraws, 360);
}

TEST(SamplerTest, WhatIsCutAwayIsNeverDrawn) {
  SamplingOptions options = at_temperature(1);
  options.top_k = 1;
  const std::vector<float> probabilities = next_token_probabilities(kLogits, {}, options);
  EXPECT_THAT(probabilities, ElementsAre(0, 0.5f, 0.5f, 0));  // those that tie with the k-th stay
  for (std::size_t n = 0; n < 100; ++n) EXPECT_THAT(pick_token(kLogits, {}, options, n), ::testing::AnyOf(1, 2));
}

TEST(SamplerTest, TopPKeepsTheSmallestSetThatReachesIt) {
  std::vector<float> logits(5000);
  for (std::size_t n = 0; n < logits.size(); ++n) logits[n] = static_cast<float>(12 * uniform_at(3, n));
  const std::vector<float> all = next_token_probabilities(logits, {}, at_temperature(1));
  for (const double top_p : {1e-9, 0.3, 0.9, 0.999}) {
    SamplingOptions options = at_temperature(1);
    options.top_p = top_p;
    const std::vector<float> kept = next_token_probabilities(logits, {}, options);
    double mass = 0;
    float least_kept = 1;
    float most_removed = 0;
    for (std::size_t n = 0; n < all.size(); ++n) {
      if (kept[n] > 0) mass += all[n];
      if (kept[n] > 0) least_kept = std::min(least_kept, all[n]);
      if (kept[n] == 0) most_removed = std::max(most_removed, all[n]);
    }
    EXPECT_GE(mass, top_p - 1e-6);
    EXPECT_LT(mass - least_kept, top_p + 1e-6) << "one less would do";
    EXPECT_LE(most_removed, least_kept);
  }
}

TEST(SamplerTest, TopPOfEquallyLikelyTokensKeepsTheLowestIds) {
  const std::vector<float> flat(1000, 1.0f);
  SamplingOptions options = at_temperature(1);
  options.top_p = 1e-9;
  EXPECT_EQ(next_token_probabilities(flat, {}, options)[0], 1);
  options.top_p = 0.0105;
  const std::vector<float> kept = next_token_probabilities(flat, {}, options);
  EXPECT_GT(kept[10], 0);
  EXPECT_EQ(kept[11], 0);
}

TEST(SamplerTest, ATinyTemperatureIsGreedyAndDoesNotOverflow) {
  const std::vector<float> logits = {-1e30f, 5, 1e30f};
  EXPECT_THAT(next_token_probabilities(logits, {}, at_temperature(1e-30)), ElementsAre(0, 0, 1));
}

TEST(SamplerTest, LogitsThatAreNotNumbersAreAnError) {
  const std::vector<float> logits = {0, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THROW(pick_token(logits, {}, {}, 0), Error);
  EXPECT_THROW(pick_token(logits, {}, at_temperature(1), 0), Error);
  EXPECT_THROW(RawDistribution{logits}, Error);
}

TEST(RawDistributionTest, LogProbabilitiesAreOfTheLogitsAsTheyAre) {
  const std::vector<float> logits = {std::log(1.0f), std::log(3.0f)};
  const RawDistribution raw(logits);
  EXPECT_NEAR(raw.logprob(1), std::log(0.75), 1e-6);
  EXPECT_NEAR(raw.entropy(), -(0.25 * std::log(0.25) + 0.75 * std::log(0.75)), 1e-6);
  ASSERT_EQ(raw.top(5).size(), 2u);
  EXPECT_EQ(raw.top(1)[0].first, 1);
}

TEST(RawDistributionTest, OfEqualsTheLowerIdComesFirst) {
  const auto top = RawDistribution(kLogits).top(3);
  EXPECT_EQ(top[0].first, 1);
  EXPECT_EQ(top[1].first, 2);
  EXPECT_EQ(top[2].first, 0);
}

}  // namespace
}  // namespace refrag

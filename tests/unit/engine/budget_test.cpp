#include "engine/budget.h"

#include <gtest/gtest.h>

#include <cmath>

#include "refrag/error.h"

namespace refrag {
namespace {

std::string refused_field(const ExpandOptions& options) {
  try {
    check_expand_options(options);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find(error.param()), std::string::npos) << error.what();
    return error.param();
  }
  return {};
}

TEST(BudgetTest, AFractionIsRoundedWithHalvesToEven) {
  EXPECT_EQ(chunks_within_fraction(0.5, 5), 2u);
  EXPECT_EQ(chunks_within_fraction(0.5, 7), 4u);
  EXPECT_EQ(chunks_within_fraction(0.1, 64), 6u);
  EXPECT_EQ(chunks_within_fraction(0.1, 66), 7u);
  EXPECT_EQ(chunks_within_fraction(1, 64), 64u);
}

TEST(BudgetTest, APositiveFractionExpandsAtLeastOneChunk) {
  EXPECT_EQ(chunks_within_fraction(0.01, 3), 1u);
  EXPECT_EQ(chunks_within_fraction(0, 3), 0u);
  EXPECT_EQ(chunks_within_fraction(0.5, 0), 0u);
}

TEST(BudgetTest, TokensAreSpentInRankOrderAndTheFirstThatDoesNotFitEndsIt) {
  const std::vector<std::size_t> order = {2, 0, 1};
  const std::vector<std::size_t> sizes = {8, 1, 4};
  const BudgetInput input{order, sizes, 10};
  EXPECT_EQ(chunks_within_tokens(input, 3), 0u);
  EXPECT_EQ(chunks_within_tokens(input, 4), 1u);
  EXPECT_EQ(chunks_within_tokens(input, 11), 1u);  // chunk 1 would fit, but chunk 0 comes first
  EXPECT_EQ(chunks_within_tokens(input, 13), 3u);
}

TEST(BudgetTest, ATimeIsSpentOnPositionsOfTheWholePrompt) {
  const std::vector<PrefillMeasurement> measured = {{100, 10}, {200, 20}, {400, 40}};
  const LatencyModel latency = LatencyModel::fit(measured);  // 0.1 ms a position
  const std::vector<std::size_t> order = {0, 1, 2};
  const std::vector<std::size_t> sizes = {11, 11, 11};
  const BudgetInput input{order, sizes, 100};
  EXPECT_EQ(chunks_within_ms(input, latency, 10.5), 0u);
  EXPECT_EQ(chunks_within_ms(input, latency, 12.1), 2u);
  EXPECT_EQ(chunks_within_ms(input, latency, 100), 3u);
  EXPECT_EQ(chunks_within_ms(input, latency, -5), 0u);
}

TEST(BudgetTest, OptionsThatExcludeEachOtherAreRefusedByName) {
  ExpandOptions options;
  EXPECT_EQ(refused_field(options), "");
  options.fraction = 0.5;
  options.tokens = 10;
  EXPECT_EQ(refused_field(options), "expand.tokens");
  options.tokens.reset();
  options.by = ExpandBy::kIds;
  EXPECT_EQ(refused_field(options), "expand.fraction");
  options.fraction.reset();
  EXPECT_EQ(refused_field(options), "");
  options.by = ExpandBy::kPolicy;
  options.ids = {{0, 0}};
  EXPECT_EQ(refused_field(options), "expand.ids");
}

TEST(BudgetTest, ValuesOutOfRangeAreRefusedByName) {
  const auto with = [](auto change) {
    ExpandOptions options;
    change(options);
    return refused_field(options);
  };
  EXPECT_EQ(with([](ExpandOptions& o) { o.fraction = 1.5; }), "expand.fraction");
  EXPECT_EQ(with([](ExpandOptions& o) { o.fraction = std::nan(""); }), "expand.fraction");
  EXPECT_EQ(with([](ExpandOptions& o) { o.ttft_ms = 0; }), "expand.ttft_ms");
  EXPECT_EQ(with([](ExpandOptions& o) { o.while_decoding.entropy = -1; }), "expand.while_decoding.entropy");
  EXPECT_EQ(with([](ExpandOptions& o) {
              o.while_decoding.every = 4;
              o.while_decoding.max_new = 0;
            }),
            "expand.while_decoding.max_new");
}

}  // namespace
}  // namespace refrag

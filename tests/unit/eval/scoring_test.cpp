#include "eval/scoring.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "engine/sampler.h"
#include "refrag/error.h"
#include "support/errors.h"
#include "support/fake_runner.h"

namespace refrag {
namespace {

using testing::FakeRunner;
using testing::FakeTokenizer;

std::vector<Entry> tokens(std::size_t count) {
  std::vector<Entry> entries = {{.token = FakeTokenizer::kBos}};
  while (entries.size() < count) {
    entries.push_back({.token = FakeTokenizer::kFirstByte + static_cast<TokenId>(entries.size() % 256)});
  }
  return entries;
}

double loss_at(const FakeRunner& runner, const std::vector<Entry>& entries, std::size_t n) {
  const std::vector<float> logits = runner.logits_after(std::span(entries).first(n), nullptr);
  return -RawDistribution(logits).logprob(entries[n].token);
}

TEST(TokenLossesTest, AreTheSameInSlices) {
  FakeRunner runner;
  const std::vector<Entry> entries = tokens(1200);  // more than two slices
  const std::vector<double> losses = token_losses(runner, entries, nullptr, 7);
  ASSERT_EQ(losses.size(), entries.size() - 7);
  EXPECT_GT(runner.steps().size(), 1U);
  for (const std::size_t n : {std::size_t{7}, std::size_t{518}, std::size_t{519}, std::size_t{1199}}) {
    EXPECT_NEAR(losses[n - 7], loss_at(runner, entries, n), 1e-9) << n;
  }
  EXPECT_EQ(runner.open_sequences(), 0U);
}

TEST(TokenLossesTest, NothingPredictsTheFirstEntry) {
  FakeRunner runner;
  EXPECT_EQ(testing::error_of([&] { token_losses(runner, tokens(4), nullptr, 0); }).code(), ErrorCode::kInternal);
  EXPECT_TRUE(token_losses(runner, tokens(4), nullptr, 4).empty());
}

TEST(ChunkLossesTest, AreMeansOverTheTokensOfEachChunk) {
  FakeRunner runner;
  const std::vector<Entry> all = tokens(9);
  MixedInput input;
  input.add_tokens(std::vector<TokenId>{all[0].token, all[1].token});
  input.add_chunk(0, {all[2].token, all[3].token, all[4].token}, true);
  input.add_tokens(std::vector<TokenId>{all[5].token});  // a separator
  input.add_chunk(1, {all[6].token, all[7].token}, true);
  input.add_tokens(std::vector<TokenId>{all[8].token});
  const std::vector<double> losses = chunk_losses(runner, input);
  ASSERT_EQ(losses.size(), 2U);
  EXPECT_NEAR(losses[0], (loss_at(runner, all, 2) + loss_at(runner, all, 3) + loss_at(runner, all, 4)) / 3, 1e-9);
  EXPECT_NEAR(losses[1], (loss_at(runner, all, 6) + loss_at(runner, all, 7)) / 2, 1e-9);
}

TEST(ChunkLossesTest, ATokenAtTheVeryBeginningDoesNotCount) {
  FakeRunner runner;
  const std::vector<Entry> all = tokens(3);
  MixedInput input;
  input.add_chunk(0, {all[0].token}, true);
  input.add_chunk(0, {all[1].token, all[2].token}, true);
  const std::vector<double> losses = chunk_losses(runner, input);
  EXPECT_EQ(losses[0], 0);
  EXPECT_NEAR(losses[1], (loss_at(runner, all, 1) + loss_at(runner, all, 2)) / 2, 1e-9);
}

}  // namespace
}  // namespace refrag

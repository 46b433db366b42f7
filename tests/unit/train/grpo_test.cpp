#include "train/grpo.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <map>

namespace refrag::train {
namespace {

TEST(GrpoTest, PickLogProbsAreThoseOfDrawingWithoutReplacement) {
  const at::Tensor logits = at::tensor({0.3F, -1.0F, 2.0F, 0.0F});
  const at::Tensor picks = at::tensor({2, 0, 1, 3, 1, 2}, at::kLong).view({2, 3});
  const at::Tensor found = pick_log_probs(logits, picks);
  for (std::int64_t g = 0; g < 2; ++g) {
    std::vector<bool> picked(4, false);
    for (std::int64_t t = 0; t < 3; ++t) {
      double left = 0;
      for (std::int64_t n = 0; n < 4; ++n) {
        left += picked[static_cast<std::size_t>(n)] ? 0 : std::exp(logits[n].item<double>());
      }
      const auto pick = picks[g][t].item<std::int64_t>();
      EXPECT_NEAR(found[g][t].item<double>(), logits[pick].item<double>() - std::log(left), 1e-5);
      picked[static_cast<std::size_t>(pick)] = true;
    }
  }
}

TEST(GrpoTest, PicksAreDrawnAsTheirLogProbsSay) {
  const std::vector<float> logits = {0.5F, 1.5F, -0.5F};
  std::map<std::vector<std::int64_t>, double> shares;
  constexpr int kDraws = 40000;
  Draw draw({4});
  for (int n = 0; n < kDraws; ++n) shares[draw_picks(logits, 2, draw)] += 1.0 / kDraws;
  ASSERT_EQ(shares.size(), 6U);
  for (const auto& [picks, share] : shares) {
    const at::Tensor log_probs = pick_log_probs(at::tensor(logits), at::tensor(picks, at::kLong).unsqueeze(0));
    EXPECT_NEAR(share, std::exp(log_probs.sum().item<double>()), 0.01);
  }
}

TEST(GrpoTest, AdvantagesHaveMeanZeroAndDeviationOne) {
  const at::Tensor advantages = group_advantages(at::tensor({-3.0F, -1.0F, -2.0F, -2.0F}));
  EXPECT_NEAR(advantages.mean().item<double>(), 0, 1e-6);
  EXPECT_NEAR(advantages.square().mean().item<double>(), 1, 1e-5);
  EXPECT_LT(advantages[0].item<double>(), 0);
  EXPECT_TRUE(group_advantages(at::full({3}, -1.5)).equal(at::zeros({3})));
  EXPECT_TRUE(scaled_advantages(at::tensor({-3.0F, -1.0F}), 4).equal(at::tensor({-0.25F, 0.25F})));
  EXPECT_TRUE(scaled_advantages(at::tensor({-3.0F, -1.0F}), 0).equal(at::zeros({2})));
}

TEST(GrpoTest, TheRatioIsClippedWhereItWouldGoFurther) {
  const at::Tensor old = at::zeros({2, 1});
  const at::Tensor up = at::full({2, 1}, std::log(1.5));
  const at::Tensor advantages = at::tensor({1.0F, -1.0F});
  // Better than the group and likelier already: no more than 1.2 counts. Worse: all of it counts.
  EXPECT_NEAR(clipped_loss(up, old, advantages, 0.2).item<double>(), -(1.2 - 1.5) / 2, 1e-5);
  EXPECT_NEAR(clipped_loss(-up, old, advantages, 0.2).item<double>(), -(1 / 1.5 - 0.8) / 2, 1e-5);
}

TEST(GrpoTest, APolicyLearnsToPickWhatIsRewarded) {
  at::Tensor logits = at::zeros({6});
  logits.requires_grad_(true);
  for (std::uint64_t step = 0; step < 150; ++step) {
    Draw draw({8, step});
    const at::Tensor fixed = logits.detach();
    std::vector<std::int64_t> picks;
    std::vector<float> rewards;
    for (int g = 0; g < 6; ++g) {
      const auto one = draw_picks({fixed.const_data_ptr<float>(), 6}, 2, draw);
      rewards.push_back(one[0] == 4 || one[1] == 4 ? 0.0F : -1.0F);
      picks.insert(picks.end(), one.begin(), one.end());
    }
    const at::Tensor all = at::tensor(picks, at::kLong).view({6, 2});
    const at::Tensor loss = clipped_loss(pick_log_probs(logits, all), pick_log_probs(fixed, all),
                                         group_advantages(at::tensor(rewards)), 0.2);
    torch::autograd::backward({loss});
    const at::NoGradGuard no_gradients;
    logits.sub_(logits.grad(), 0.5);
    logits.mutable_grad().reset();
  }
  EXPECT_EQ(logits.argmax().item<std::int64_t>(), 4);
  EXPECT_GT(at::softmax(logits, 0)[4].item<double>(), 0.5);
}

}  // namespace
}  // namespace refrag::train

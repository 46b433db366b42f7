#include "train/grpo.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <numeric>

namespace refrag::train {

std::vector<std::int64_t> draw_picks(std::span<const float> logits, std::size_t count, Draw& draw) {
  std::vector<double> keys;
  for (const float logit : logits) keys.push_back(static_cast<double>(logit) + draw.gumbel());
  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
    return keys[static_cast<std::size_t>(a)] > keys[static_cast<std::size_t>(b)];
  });
  order.resize(std::min(count, order.size()));
  return order;
}

at::Tensor pick_log_probs(const at::Tensor& logits, const at::Tensor& picks) {
  const at::Tensor picked = at::one_hot(picks, logits.size(0));  // [G, T, L]
  const at::Tensor before = at::cumsum(picked, 1) - picked;      // 1: picked before
  const at::Tensor left = logits.unsqueeze(0).unsqueeze(0).masked_fill(
      before.to(at::kBool), -std::numeric_limits<double>::infinity());  // [G, T, L]
  return at::index_select(logits, 0, picks.flatten()).view(picks.sizes()) - at::logsumexp(left, {2});
}

at::Tensor group_advantages(const at::Tensor& rewards) {
  return scaled_advantages(rewards, rewards.std(/*unbiased=*/false).item<double>());
}

at::Tensor scaled_advantages(const at::Tensor& rewards, double deviation) {
  return deviation > 1e-6 ? (rewards - rewards.mean()) / deviation : at::zeros_like(rewards);
}

at::Tensor clipped_loss(const at::Tensor& log_probs, const at::Tensor& old_log_probs, const at::Tensor& advantages,
                        double epsilon) {
  const at::Tensor ratio = at::exp(log_probs - old_log_probs);  // [G, T]
  const at::Tensor advantage = advantages.unsqueeze(1);         // [G, 1]
  return -at::minimum(ratio * advantage, ratio.clamp(1 - epsilon, 1 + epsilon) * advantage).mean();
}

}  // namespace refrag::train

#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "train/draw.h"

namespace refrag::train {

// The policy's objective (the paper's section 2): T chunks are picked one after another from a softmax over the logits
// of those not yet picked; logits are computed once.

/// T picks of the chunks, in their order: each is drawn from softmax(logits) over the chunks not yet picked. (Adding a
/// Gumbel draw to each logit and sorting gives that very distribution.)
std::vector<std::int64_t> draw_picks(std::span<const float> logits, std::size_t count, Draw& draw);

/// logits: [L]; picks: [G, T] int64. Result: [G, T], the log-probability of each pick given those before it.
at::Tensor pick_log_probs(const at::Tensor& logits, const at::Tensor& picks);

/// (reward − mean) / deviation within the group, [G]; 0 where all rewards are alike.
at::Tensor group_advantages(const at::Tensor& rewards);
/// (reward − mean of the group) / `deviation`, [G]; 0 where that is 0.
at::Tensor scaled_advantages(const at::Tensor& rewards, double deviation);

/// −mean over picks and group of min(r A, clip(r, 1 − ε, 1 + ε) A), with r = p / p_old of each pick.
/// log_probs, old_log_probs: [G, T]; advantages: [G].
at::Tensor clipped_loss(const at::Tensor& log_probs, const at::Tensor& old_log_probs, const at::Tensor& advantages,
                        double epsilon);

}  // namespace refrag::train

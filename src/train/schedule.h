#pragma once
#include <cstdint>

#include "train/config.h"

namespace refrag::train {

/// The learning rate of step `step` (from 0) of `steps`: it rises in a line over the warm-up's steps, to its whole
/// value at their last one, then falls along half a cosine to final_share of it at the last step.
double learning_rate_at(std::uint64_t step, std::uint64_t steps, const OptimizerConfig& config);

}  // namespace refrag::train

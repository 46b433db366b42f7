#include "train/schedule.h"

#include <cmath>
#include <numbers>

namespace refrag::train {

double learning_rate_at(std::uint64_t step, std::uint64_t steps, const OptimizerConfig& config) {
  const auto warmup = static_cast<std::uint64_t>(std::llround(config.warmup * static_cast<double>(steps)));
  if (step < warmup) {
    return config.learning_rate * static_cast<double>(step + 1) / static_cast<double>(warmup);
  }
  const std::uint64_t falling = steps - warmup;
  const double done = falling > 1 ? static_cast<double>(step - warmup) / static_cast<double>(falling - 1) : 0;
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * done));
  return config.learning_rate * (config.final_share + (1 - config.final_share) * cosine);
}

}  // namespace refrag::train

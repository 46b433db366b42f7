#include "nn/rotary.h"

#include <ATen/ATen.h>

#include <numbers>

#include "nn/fused.h"

namespace refrag::nn {
namespace {

/// Llama 3.1: wavelengths short against the original context stay, long ones are stretched by `factor`, and those in
/// between move smoothly from one to the other (transformers, _compute_llama3_parameters).
at::Tensor stretch_as_llama3(const at::Tensor& frequencies, const RotaryConfig& config) {
  const at::Tensor wavelengths = 2.0 * std::numbers::pi / frequencies;  // positions a turn
  const double longest_kept = config.original_positions / config.high_freq_factor;
  const double shortest_stretched = config.original_positions / config.low_freq_factor;
  const at::Tensor share_kept = (config.original_positions / wavelengths - config.low_freq_factor) /
                                (config.high_freq_factor - config.low_freq_factor);
  const at::Tensor between = (1.0 - share_kept) * frequencies / config.factor + share_kept * frequencies;
  const at::Tensor stretched = frequencies / config.factor;
  return at::where(wavelengths < longest_kept, frequencies,
                   at::where(wavelengths > shortest_stretched, stretched, between));
}

at::Tensor frequencies_of(const RotaryConfig& config) {
  const at::Tensor exponents = at::arange(0, config.head_dim, 2, at::kFloat) / static_cast<double>(config.head_dim);
  const at::Tensor frequencies = 1.0 / at::pow(config.theta, exponents);
  switch (config.kind) {
    case RotaryKind::kDefault:
      return frequencies;
    case RotaryKind::kLinear:
      return frequencies / config.factor;
    case RotaryKind::kLlama3:
      return stretch_as_llama3(frequencies, config);
  }
  return frequencies;
}

}  // namespace

Rotary::Rotary(const RotaryConfig& config, at::Device device) : frequencies_(frequencies_of(config).to(device)) {}

Rotation Rotary::at(const at::Tensor& positions) const {
  const at::Tensor angles = at::outer(positions.to(at::kFloat), frequencies_).unsqueeze(1);  // [T, 1, h / 2]
  return {angles.cos(), angles.sin()};
}

at::Tensor Rotation::operator()(const at::Tensor& x) const {
  if (x.numel() > 0 && x.stride(2) == 1 && x.stride(1) == x.size(2) && kernels_for(x) != nullptr) {
    at::Tensor out = at::empty(x.sizes(), x.options());
    rotate_into(x, cosines, sines, out);
    return out;
  }
  const auto halves = x.to(at::kFloat).chunk(2, -1);  // two of [T, heads, h / 2]
  return at::cat({halves[0] * cosines - halves[1] * sines, halves[1] * cosines + halves[0] * sines}, -1)
      .to(x.scalar_type());
}

}  // namespace refrag::nn

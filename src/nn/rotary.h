#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace refrag::nn {

/// How rotary frequencies are stretched beyond the length a model was first trained for.
enum class RotaryKind { kDefault, kLinear, kLlama3 };

struct RotaryConfig {
  RotaryKind kind = RotaryKind::kDefault;
  std::int64_t head_dim = 0;  // even
  double theta = 10000.0;
  double factor = 1.0;              // linear, llama3
  double low_freq_factor = 1.0;     // llama3
  double high_freq_factor = 4.0;    // llama3
  double original_positions = 0.0;  // llama3: max_position_embeddings before it was stretched
};

/// Cosines and sines of every row's position, made once a step and used by all layers. Always fp32: frequencies
/// rounded to bf16 moved logits by 0.017.
struct Rotation {
  at::Tensor cosines;  // [T, 1, h / 2]
  at::Tensor sines;
  /// x: [T, heads, h], any dtype. Pairs are (i, i + h / 2), as in Hugging Face's rotate_half.
  at::Tensor operator()(const at::Tensor& x) const;
};

class Rotary {
 public:
  Rotary() = default;
  Rotary(const RotaryConfig& config, at::Device device);
  Rotation at(const at::Tensor& positions) const;                 // [T] int64
  const at::Tensor& frequencies() const { return frequencies_; }  // [h / 2] fp32, radians a position

 private:
  at::Tensor frequencies_;
};

}  // namespace refrag::nn

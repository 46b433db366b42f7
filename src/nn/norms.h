#pragma once
#include <ATen/core/Tensor.h>

namespace refrag::nn {

/// x / sqrt(mean(x²) + eps) · weight, over the last dimension; the mean and the quotient in fp32 whatever x is, as in
/// Hugging Face's LlamaRMSNorm.
struct RmsNorm {
  at::Tensor weight;  // [d]
  double eps = 1e-6;

  at::Tensor operator()(const at::Tensor& x) const;  // [..., d]
};

/// (x - mean) / sqrt(variance + eps) · weight + bias, over the last dimension.
struct LayerNorm {
  at::Tensor weight;  // [d]
  at::Tensor bias;    // [d]
  double eps = 1e-5;

  at::Tensor operator()(const at::Tensor& x) const;  // [..., d]
};

}  // namespace refrag::nn

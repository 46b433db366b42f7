#pragma once
#include <ATen/core/Tensor.h>

#include <memory>

namespace refrag::nn {

/// A linear layer's weight on the CPU in the layout that oneDNN multiplies by, laid out once instead of at every
/// product. As large as the plain weight, fp32 or bf16. For serving: no gradient passes through it.
class BlockedWeight {
 public:
  /// weight: [out, in]. Null where there is no such layout: on another device, in another dtype, without oneDNN.
  static std::shared_ptr<const BlockedWeight> of(const at::Tensor& weight);

  /// x Wᵀ + b. x: [..., in]; bias: [out], or undefined. Result: [..., out].
  at::Tensor linear(const at::Tensor& x, const at::Tensor& bias) const;

 private:
  explicit BlockedWeight(at::Tensor blocks) : blocks_(std::move(blocks)) {}
  at::Tensor blocks_;  // opaque
};

}  // namespace refrag::nn

#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

#include "nn/int8_kernel.h"

namespace refrag::nn {

/// A linear layer's weight on the CPU as int8 with a scale for 64 inputs of an output: half of bf16's bytes, which are
/// what a decoded token waits for. For serving: no gradient passes through it.
///
/// Few rows (decoding) are rounded to 16 bits with a scale a row, so that a few large activations take nothing
/// noticeable from the others, and multiplied in whole numbers. Many rows (prefill) go through GEMM in their own dtype,
/// over the weights of some outputs at a time.
class Int8Matrix {
 public:
  /// weight: [out, in], floating-point. Null where it is not on the CPU.
  static std::shared_ptr<const Int8Matrix> of(const at::Tensor& weight);

  /// x Wᵀ + b. x: [..., in], fp32 or bf16; bias: [out], or undefined. Result: [..., out] in x's dtype.
  at::Tensor linear(const at::Tensor& x, const at::Tensor& bias) const;
  at::Tensor dequantized() const;  // [out, in] fp32: what products are of; in bf16 many rows' are of these, rounded

 private:
  Int8Matrix(at::Tensor values, at::Tensor scales, std::int64_t inputs);
  at::Tensor few_rows(const at::Tensor& x) const;   // [n, in] to [n, out]
  at::Tensor many_rows(const at::Tensor& x) const;  // the same

  Int8Weights weights() const;

  at::Tensor values_;  // [out, groups, kInt8Group] int8, zeros behind the inputs
  at::Tensor scales_;  // [out, groups] bf16
  std::int64_t inputs_;
};

}  // namespace refrag::nn

#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>

namespace refrag::nn {

/// A linear layer's weight on the CPU as int8 with a scale for 64 inputs of an output: half of bf16's bytes, which are
/// what a decoded token waits for. For serving: no gradient passes through it.
///
/// Rows are rounded to 16 bits with a scale a row, so that a few large activations take nothing noticeable from the
/// others, and multiplied in whole numbers: as many a second as bf16 has with AVX-512, more than fp32 has with AVX2.
class Int8Matrix {
 public:
  /// weight: [out, in], floating-point. Null where it is not on the CPU.
  static std::shared_ptr<const Int8Matrix> of(const at::Tensor& weight);

  /// x Wᵀ + b. x: [..., in], fp32 or bf16; bias: [out], or undefined. Result: [..., out] in x's dtype.
  at::Tensor linear(const at::Tensor& x, const at::Tensor& bias) const;
  at::Tensor dequantized() const;  // [out, in] fp32: what products are of

 private:
  Int8Matrix(at::Tensor values, at::Tensor scales, std::int64_t outputs, std::int64_t inputs);

  at::Tensor values_;  // int8, as Int8Weights has them
  at::Tensor scales_;  // bf16, the same
  std::int64_t outputs_;
  std::int64_t inputs_;
};

}  // namespace refrag::nn

#pragma once
#include <ATen/core/Tensor.h>

#include <initializer_list>

#include "nn/cpu/kernels.h"

namespace refrag::nn {

// What stands between a decoder's products, each in one pass over memory on the CPU: fp32 inside whatever the dtype.
// On another device, in another dtype, and where a gradient is to pass through, the same by libtorch's operations.

/// The loops for tensors like `first`; null where there are none, where the others have another dtype or device, or
/// where a gradient is asked for.
const CpuKernels* kernels_for(const at::Tensor& first, std::initializer_list<at::Tensor> others = {});

/// x / sqrt(mean(x²) + eps) · weight over the last dimension. x: [..., d]; weight: [d].
at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps);

/// x + added, and its norm.
struct SumAndNorm {
  at::Tensor sum;   // [..., d]
  at::Tensor norm;  // [..., d]
};
SumAndNorm add_and_norm(const at::Tensor& x, const at::Tensor& added, const at::Tensor& weight, double eps);

/// silu(gate) · up: [..., 2 f], gates first, to [..., f].
at::Tensor swiglu(const at::Tensor& gate_up);

/// Heads turned by their row's angles, pairs (i, i + h / 2). x, out: [T, heads, h], heads of x's rows one after
/// another, each head of out's as one piece; cosines, sines: [T, 1, h / 2] fp32. Writes into `out`, which may be a
/// view. Only where kernels_for(x, {out}) are there.
void rotate_into(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, const at::Tensor& out);

}  // namespace refrag::nn

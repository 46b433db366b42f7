#pragma once
#include <ATen/core/Tensor.h>

namespace refrag::nn {

/// attend_causal on the CPU by loops of our own. An undefined tensor where there are none: for this head's width or
/// these instructions, or where a gradient is to pass through.
at::Tensor flash_attention(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values);

}  // namespace refrag::nn

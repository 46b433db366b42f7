#pragma once
#include <ATen/core/Tensor.h>

namespace refrag::nn {

/// y = x Wᵀ + b. Holds plain tensors, so that the same layer serves and trains.
struct Linear {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out], or undefined

  at::Tensor operator()(const at::Tensor& x) const;  // [..., in] -> [..., out]
};

}  // namespace refrag::nn

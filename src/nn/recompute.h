#pragma once
#include <ATen/core/Tensor.h>

#include <functional>

namespace refrag::nn {

/// compute(x) that keeps x alone for the backward pass, which runs `compute` once more: memory for time (activation
/// checkpointing). Gradients of whatever else `compute` reads are added to those tensors' .grad, so it works with
/// backward(), not with grad(). `compute` must give the same result each time and outlives the backward pass by copy.
at::Tensor recompute(const std::function<at::Tensor(const at::Tensor&)>& compute, const at::Tensor& x);

}  // namespace refrag::nn

#include "nn/linear.h"

#include <ATen/ops/linear.h>

namespace refrag::nn {

at::Tensor Linear::operator()(const at::Tensor& x) const {
  if (int8 != nullptr) return int8->linear(x, bias);
  return blocked != nullptr ? blocked->linear(x, bias) : at::linear(x, weight, bias);
}

void Linear::lay_out(WeightLayout layout) {
  if (layout == WeightLayout::kBlocked) blocked = BlockedWeight::of(weight);
  if (layout == WeightLayout::kInt8) int8 = Int8Matrix::of(weight);
  if (blocked != nullptr || int8 != nullptr) weight.reset();
}

}  // namespace refrag::nn

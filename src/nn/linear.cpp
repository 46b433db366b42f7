#include "nn/linear.h"

#include <ATen/ops/linear.h>

namespace refrag::nn {

at::Tensor Linear::operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }

}  // namespace refrag::nn

#include "nn/norms.h"

#include <ATen/ATen.h>

#include "nn/fused.h"

namespace refrag::nn {

at::Tensor RmsNorm::operator()(const at::Tensor& x) const { return rms_norm(x, weight, eps); }

at::Tensor LayerNorm::operator()(const at::Tensor& x) const {
  return at::layer_norm(x, weight.sizes(), weight, bias, eps);
}

}  // namespace refrag::nn

#include "nn/embedding.h"

#include <ATen/ops/embedding.h>

namespace refrag::nn {

at::Tensor Embedding::operator()(const at::Tensor& ids) const { return at::embedding(weight, ids); }

}  // namespace refrag::nn

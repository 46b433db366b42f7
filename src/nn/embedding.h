#pragma once
#include <ATen/core/Tensor.h>

namespace refrag::nn {

/// Rows of a table. Ids are the caller's to check: they must lie within it.
struct Embedding {
  at::Tensor weight;  // [rows, d]

  at::Tensor operator()(const at::Tensor& ids) const;  // [...] int64 -> [..., d]
};

}  // namespace refrag::nn

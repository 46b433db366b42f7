#pragma once
#include <ATen/core/Tensor.h>

#include "refrag/model_bundle.h"

namespace refrag {

bool has_cuda();  // this libtorch has it, and this machine a GPU
/// What "auto" and 0 mean on this machine. Throws kUnsupported for CUDA where this libtorch has none, and
/// kInvalidArgument for a number of threads that makes no sense.
ModelOptions resolve(const ModelOptions& options);
/// Dtype and device of options that were resolved.
at::TensorOptions tensor_options(const ModelOptions& resolved);

}  // namespace refrag

#pragma once
#include <ATen/core/Tensor.h>

#include "nn/linear.h"
#include "refrag/model_bundle.h"

namespace refrag {

bool has_cuda();  // this libtorch has it, and this machine a GPU
/// What "auto" and 0 mean on this machine. Throws kUnsupported for CUDA where this libtorch has none and for int8 on
/// CUDA or in training, and kInvalidArgument for a number of threads that makes no sense.
ModelOptions resolve(const ModelOptions& options);
/// Dtype and device of what a model of these resolved options computes in; weights in int8 are decided by the layouts.
at::TensorOptions tensor_options(const ModelOptions& resolved);

/// How the parts keep the weights of their linear layers. int8 is for the decoder alone: decoding reads its weights for
/// every token, the other parts multiply many rows at a time.
struct PartLayouts {
  nn::WeightLayout decoder = nn::WeightLayout::kPlain;
  nn::WeightLayout others = nn::WeightLayout::kPlain;
};
PartLayouts layouts_of(const ModelOptions& resolved);

}  // namespace refrag

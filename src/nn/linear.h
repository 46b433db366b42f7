#pragma once
#include <ATen/core/Tensor.h>

#include <memory>

#include "nn/blocked_weight.h"
#include "nn/int8_matrix.h"

namespace refrag::nn {

/// How linear layers keep their weights: as they are, which trains too, or for serving in oneDNN's blocks where the
/// device and the dtype have them, or as int8 on the CPU.
enum class WeightLayout { kPlain, kBlocked, kInt8 };

/// y = x Wᵀ + b. Holds plain tensors, so that the same layer serves and trains.
struct Linear {
  at::Tensor weight;                                       // [out, in]; undefined where one of the below stands for it
  at::Tensor bias;                                         // [out], or undefined
  std::shared_ptr<const BlockedWeight> blocked = nullptr;  // in the weight's place, for serving on the CPU
  std::shared_ptr<const Int8Matrix> int8 = nullptr;        // the same

  at::Tensor operator()(const at::Tensor& x) const;  // [..., in] -> [..., out]
  /// kBlocked and kInt8 give up the plain weight, where there is such a form of it: products are faster, and gradients
  /// end here.
  void lay_out(WeightLayout layout);
};

}  // namespace refrag::nn

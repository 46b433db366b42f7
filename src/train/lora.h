#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/parameter.h"
#include "train/adamw.h"

namespace refrag::train {

/// Low-rank adapters (LoRA): a matrix W is trained as W0 + (alpha / r) B A, with A [r, inputs] random and B [outputs,
/// r] zero at first. The model always holds the merged W, so nothing else knows of them and a bundle is written as
/// ever: dA and dB follow from dW by the chain rule.
class LoraAdapters {
 public:
  /// Adapts the matrices of `parameters` but for embeddings and head, which stay frozen with the vectors.
  LoraAdapters(const Parameters& parameters, const std::string& prefix, std::int64_t rank, double alpha,
               std::uint64_t seed);

  std::vector<NamedTensor> weights() const;  // all A and B: what the optimizer trains
  void take_gradients() const;               // from each W's gradient, which is dropped, to A's and B's
  void merge() const;                        // after A or B changed

 private:
  struct Adapter {
    std::string name;
    at::Tensor merged;  // W: the model's own
    at::Tensor base;    // W0
    at::Tensor a;
    at::Tensor b;
  };
  double scale_;
  std::vector<Adapter> adapters_;
};

}  // namespace refrag::train

#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "train/config.h"

namespace refrag::train {

struct NamedTensor {
  std::string name;
  at::Tensor value;
};

/// AdamW (Loshchilov and Hutter) as torch.optim.AdamW computes it: weight decay apart from the gradient, none for
/// tensors of one dimension (norms, biases). Weights without a gradient stay as they are.
class AdamW {
 public:
  AdamW(std::vector<NamedTensor> weights, const OptimizerConfig& config);

  /// Makes the gradients' global norm at most `config.clip` and returns what it was; not finite where one of them is
  /// not.
  double clip_gradients();
  void step(double learning_rate);  // and forgets the gradients
  void forget_gradients();

  const std::vector<NamedTensor>& weights() const { return weights_; }
  /// Weights, moments and counts by name, the optimizer's own tensors: written to by whoever restores a checkpoint.
  std::map<std::string, at::Tensor> state() const;

 private:
  struct Group {
    double decay = 0;
    std::vector<std::size_t> members;
  };

  OptimizerConfig config_;
  std::vector<NamedTensor> weights_;
  std::vector<at::Tensor> first_;   // m, running mean of the gradient
  std::vector<at::Tensor> second_;  // v, of its square
  std::vector<at::Tensor> counts_;  // steps taken, one number each
  std::vector<Group> groups_;
};

}  // namespace refrag::train

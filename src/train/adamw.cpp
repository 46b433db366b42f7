#include "train/adamw.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <utility>

namespace refrag::train {

AdamW::AdamW(std::vector<NamedTensor> weights, const OptimizerConfig& config)
    : config_(config), weights_(std::move(weights)), groups_{{config.weight_decay, {}}, {0.0, {}}} {
  for (std::size_t n = 0; n < weights_.size(); ++n) {
    const at::Tensor& value = weights_[n].value;
    first_.push_back(at::zeros_like(value));
    second_.push_back(at::zeros_like(value));
    counts_.push_back(at::zeros({}, value.options().dtype(at::kFloat)));
    groups_[value.dim() > 1 ? 0 : 1].members.push_back(n);
  }
}

double AdamW::clip_gradients() {
  std::vector<at::Tensor> gradients;
  for (const NamedTensor& weight : weights_) {
    if (weight.value.grad().defined()) gradients.push_back(weight.value.grad());
  }
  if (gradients.empty()) return 0;
  const double norm = at::stack(at::_foreach_norm(gradients, 2)).norm().item<double>();
  if (config_.clip > 0 && norm > config_.clip) {
    at::_foreach_mul_(gradients, config_.clip / (norm + 1e-6));  // as torch.nn.utils.clip_grad_norm_
  }
  return norm;
}

void AdamW::step(double learning_rate) {
  const at::NoGradGuard no_gradients;
  for (const Group& group : groups_) {
    std::vector<at::Tensor> values, gradients, first, second, counts;
    for (const std::size_t n : group.members) {
      if (!weights_[n].value.grad().defined()) continue;
      values.push_back(weights_[n].value);
      gradients.push_back(weights_[n].value.grad());
      first.push_back(first_[n]);
      second.push_back(second_[n]);
      counts.push_back(counts_[n]);
    }
    if (values.empty()) continue;
    at::_foreach_add_(counts, 1);
    at::_fused_adamw_(values, gradients, first, second, {}, counts, learning_rate, config_.beta1, config_.beta2,
                      group.decay, config_.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  }
  forget_gradients();
}

void AdamW::forget_gradients() {
  for (const NamedTensor& weight : weights_) weight.value.mutable_grad().reset();
}

std::map<std::string, at::Tensor> AdamW::state() const {
  std::map<std::string, at::Tensor> state;
  for (std::size_t n = 0; n < weights_.size(); ++n) {
    const std::string& name = weights_[n].name;
    state["weight/" + name] = weights_[n].value.detach();
    state["first/" + name] = first_[n];
    state["second/" + name] = second_[n];
    state["count/" + name] = counts_[n];
  }
  return state;
}

}  // namespace refrag::train

#include "train/lora.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include <cmath>

namespace refrag::train {
namespace {

bool is_adapted(const Parameter& parameter) {
  return parameter.value.dim() == 2 && parameter.name().starts_with("model.layers.");
}

}  // namespace

LoraAdapters::LoraAdapters(const Parameters& parameters, const std::string& prefix, std::int64_t rank, double alpha,
                           std::uint64_t seed)
    : scale_(alpha / static_cast<double>(rank)) {
  const at::Generator generator = at::detail::createCPUGenerator(seed);
  for (const Parameter& parameter : parameters) {
    if (!is_adapted(parameter)) continue;
    const at::Tensor& weight = parameter.value;
    Adapter adapter{prefix + parameter.name(), weight, weight.detach().clone(), {}, {}};
    adapter.a = (at::randn({rank, weight.size(1)}, generator) / std::sqrt(static_cast<double>(weight.size(1))))
                    .to(weight.device());
    adapter.b = at::zeros({weight.size(0), rank}, weight.options().requires_grad(false));
    adapters_.push_back(std::move(adapter));
    at::Tensor(weight).requires_grad_(true);
  }
}

std::vector<NamedTensor> LoraAdapters::weights() const {
  std::vector<NamedTensor> weights;
  for (const Adapter& adapter : adapters_) {
    weights.push_back({adapter.name + ".lora_A", adapter.a});
    weights.push_back({adapter.name + ".lora_B", adapter.b});
  }
  return weights;
}

void LoraAdapters::take_gradients() const {
  const at::NoGradGuard no_gradients;
  for (const Adapter& adapter : adapters_) {
    const at::Tensor gradient = adapter.merged.grad();
    if (!gradient.defined()) continue;
    adapter.a.mutable_grad() = at::matmul(adapter.b.t(), gradient) * scale_;
    adapter.b.mutable_grad() = at::matmul(gradient, adapter.a.t()) * scale_;
    adapter.merged.mutable_grad().reset();
  }
}

void LoraAdapters::merge() const {
  const at::NoGradGuard no_gradients;
  for (const Adapter& adapter : adapters_) {
    at::Tensor(adapter.merged).copy_(adapter.base + at::matmul(adapter.b, adapter.a) * scale_);
  }
}

}  // namespace refrag::train

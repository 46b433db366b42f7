#include "train/exchange.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <span>

namespace refrag::train {
namespace {

constexpr std::int64_t kBucket = std::int64_t{1} << 23;  // numbers that are sent together, about: 32 MiB

std::span<float> numbers_of(const at::Tensor& tensor) {
  return {tensor.mutable_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

/// Puts tensors end to end in the memory of the host, `act` does something to their numbers, and they come back.
template <typename Act>
void through_host(const std::vector<at::Tensor>& tensors, const Act& act) {
  std::vector<at::Tensor> flat;
  flat.reserve(tensors.size());
  for (const at::Tensor& tensor : tensors) flat.push_back(tensor.detach().reshape({-1}));
  const at::Tensor host = at::cat(flat).to(at::kCPU, at::kFloat);
  act(numbers_of(host));
  std::int64_t begin = 0;
  for (const at::Tensor& tensor : tensors) {
    at::Tensor(tensor).copy_(host.narrow(0, begin, tensor.numel()).view(tensor.sizes()));
    begin += tensor.numel();
  }
}

template <typename Act>
void by_buckets(const std::vector<at::Tensor>& tensors, const Act& act) {
  std::vector<at::Tensor> bucket;
  std::int64_t numbers = 0;
  for (std::size_t n = 0; n < tensors.size(); ++n) {
    bucket.push_back(tensors[n]);
    numbers += tensors[n].numel();
    if (numbers < kBucket && n + 1 < tensors.size()) continue;
    through_host(bucket, act);
    bucket.clear();
    numbers = 0;
  }
}

}  // namespace

double sum_gradients(const ProcessGroup& group, const std::vector<NamedTensor>& weights, double loss) {
  if (group.size() == 1) return loss;
  const at::NoGradGuard no_gradients;
  std::vector<double> shares = {loss};  // and behind it, by weight: how many have a gradient
  for (const NamedTensor& weight : weights) shares.push_back(weight.value.grad().defined() ? 1 : 0);
  group.sum(std::span(shares));
  std::vector<at::Tensor> gradients;
  for (std::size_t n = 0; n < weights.size(); ++n) {
    if (shares[n + 1] == 0) continue;
    at::Tensor& gradient = weights[n].value.mutable_grad();
    if (!gradient.defined()) gradient = at::zeros_like(weights[n].value);
    gradients.push_back(gradient);
  }
  by_buckets(gradients, [&](std::span<float> numbers) { group.sum(numbers); });
  return shares.front();
}

void copy_from_first(const ProcessGroup& group, const std::map<std::string, at::Tensor>& tensors) {
  const at::NoGradGuard no_gradients;
  std::vector<at::Tensor> all;
  all.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) all.push_back(tensor);
  by_buckets(all, [&](std::span<float> numbers) { group.copy_from_first(numbers); });
}

at::Tensor gather_rows(const ProcessGroup& group, const at::Tensor& own, std::size_t begin, std::size_t total) {
  if (group.size() == 1) return own;
  const auto first = static_cast<std::int64_t>(begin);
  const auto rows = static_cast<std::int64_t>(total);
  const at::Tensor host = at::zeros({rows, own.size(1)});
  host.narrow(0, first, own.size(0)).copy_(own.detach());
  group.sum(numbers_of(host));
  const at::Tensor all = host.to(own.device());
  const std::int64_t behind = first + own.size(0);
  return at::cat({all.narrow(0, 0, first), own.to(at::kFloat), all.narrow(0, behind, rows - behind)});
}

}  // namespace refrag::train

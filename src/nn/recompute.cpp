#include "nn/recompute.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include <memory>
#include <type_traits>
#include <utility>

namespace refrag::nn {
namespace {

/// Autocast as the forward pass had it. The copies of weights that it keeps end with it: the weights change behind the
/// step.
class AutocastAgain {
 public:
  AutocastAgain(at::DeviceType device, bool enabled, at::ScalarType dtype)
      : device_(device),
        was_enabled_(at::autocast::is_autocast_enabled(device)),
        was_dtype_(at::autocast::get_autocast_dtype(device)) {
    at::autocast::set_autocast_dtype(device, dtype);
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::increment_nesting();
  }
  AutocastAgain(const AutocastAgain&) = delete;
  AutocastAgain& operator=(const AutocastAgain&) = delete;
  ~AutocastAgain() {
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(device_, was_enabled_);
    at::autocast::set_autocast_dtype(device_, was_dtype_);
  }

 private:
  at::DeviceType device_;
  bool was_enabled_;
  at::ScalarType was_dtype_;
};

class RecomputeNode : public torch::autograd::Node {
 public:
  RecomputeNode(std::function<at::Tensor(const at::Tensor&)> compute, const at::Tensor& x)
      : Node(torch::autograd::collect_next_edges(x)),
        compute_(std::move(compute)),
        x_(x.detach()),
        autocast_(at::autocast::is_autocast_enabled(x.device().type())),
        dtype_(at::autocast::get_autocast_dtype(x.device().type())) {}

  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    const at::AutoGradMode with_gradients(true);
    at::Tensor x = x_.detach();
    x.requires_grad_(true);
    at::Tensor y;
    {
      const AutocastAgain autocast(x_.device().type(), autocast_, dtype_);
      y = compute_(x);
    }
    torch::autograd::backward({y}, {gradients[0].to(y.scalar_type())});
    return {x.grad()};
  }

  void release_variables() override { x_.reset(); }

 private:
  std::function<at::Tensor(const at::Tensor&)> compute_;
  at::Tensor x_;
  bool autocast_;
  at::ScalarType dtype_;
};

/// Nodes were shared by std::shared_ptr before libtorch 2.13.
template <typename NodePointer = decltype(torch::autograd::Edge::function), typename... Arguments>
NodePointer make_node(Arguments&&... arguments) {
  if constexpr (std::is_same_v<NodePointer, std::shared_ptr<torch::autograd::Node>>) {
    return std::make_shared<RecomputeNode>(std::forward<Arguments>(arguments)...);
  } else {
    return c10::make_intrusive<RecomputeNode>(std::forward<Arguments>(arguments)...);
  }
}

}  // namespace

at::Tensor recompute(const std::function<at::Tensor(const at::Tensor&)>& compute, const at::Tensor& x) {
  if (!at::GradMode::is_enabled()) {
    return compute(x);
  }
  at::Tensor y;
  {
    const at::NoGradGuard no_gradients;
    y = compute(x);
  }
  torch::autograd::create_gradient_edge(y, make_node(compute, x));
  return y;
}

}  // namespace refrag::nn

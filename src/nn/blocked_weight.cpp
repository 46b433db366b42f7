#include "nn/blocked_weight.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <exception>
#include <string_view>
#include <utility>

namespace refrag::nn {
namespace {

// libtorch's operations for compiled models: there are no C++ functions for them.
using Block = at::Tensor(const at::Tensor& weight, std::optional<std::int64_t> rows);
using Multiply = at::Tensor(const at::Tensor& x, const at::Tensor& blocks, const std::optional<at::Tensor>& bias,
                            std::string_view then, c10::List<std::optional<at::Scalar>> scalars,
                            std::optional<std::string_view> algorithm);
constexpr const char* kBlock = "mkldnn::_reorder_linear_weight";
constexpr const char* kMultiply = "mkldnn::_linear_pointwise";

template <typename Function>
c10::TypedOperatorHandle<Function> operation(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Function>();
}

at::Tensor multiply(const at::Tensor& x, const at::Tensor& blocks, const at::Tensor& bias) {
  static const auto multiply = operation<Multiply>(kMultiply);
  return multiply.call(x, blocks, bias.defined() ? std::optional(bias) : std::nullopt, "none",
                       c10::List<std::optional<at::Scalar>>(), std::nullopt);
}

at::Tensor lay_out(const at::Tensor& weight) {
  static const auto block = operation<Block>(kBlock);
  return block.call(weight.contiguous(), std::nullopt);
}

/// Whether a product comes out. oneDNN has none in bf16 without AVX-512, and says so by throwing; libtorch may be
/// without oneDNN, or without these operations.
bool is_there(at::ScalarType dtype) {
  try {
    multiply(at::ones({1, 16}, dtype), lay_out(at::ones({16, 16}, dtype)), {});
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

bool has_layout(const at::Tensor& weight) {
  if (!weight.is_cpu() || weight.numel() == 0) return false;
  static const bool has_fp32 = is_there(at::kFloat);
  static const bool has_bf16 = is_there(at::kBFloat16);
  return (weight.scalar_type() == at::kFloat && has_fp32) || (weight.scalar_type() == at::kBFloat16 && has_bf16);
}

}  // namespace

std::shared_ptr<const BlockedWeight> BlockedWeight::of(const at::Tensor& weight) {
  return has_layout(weight) ? std::shared_ptr<const BlockedWeight>(new BlockedWeight(lay_out(weight))) : nullptr;
}

at::Tensor BlockedWeight::linear(const at::Tensor& x, const at::Tensor& bias) const {
  return multiply(x, blocks_, bias);
}

}  // namespace refrag::nn

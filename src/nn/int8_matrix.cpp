#include "nn/int8_matrix.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "nn/int8_kernel.h"

namespace refrag::nn {
namespace {

constexpr float kWeightLevels = 127;
// Outputs that are laid out at a time: fp32 of all would take much memory. A multiple of kInt8Block.
constexpr std::int64_t kOutputsAtOnce = 1024;
// What is worth another thread.
constexpr std::int64_t kProductsAThread = 1 << 18;
constexpr std::int64_t kValuesAThread = 1 << 15;

/// The best that this processor has and libtorch uses (ATEN_CPU_CAPABILITY holds it back).
Instructions allowed_instructions() {
  static const Instructions best = [] {
    const std::string allowed = at::get_cpu_capability();
    const Instructions most = allowed == "AVX512" ? Instructions::kAvx512Vnni
                              : allowed == "AVX2" ? Instructions::kAvx2
                                                  : Instructions::kPlain;
    return std::min(most, int8_instructions());
  }();
  return best;
}

int threads_for(std::int64_t work, std::int64_t worth_a_thread) {
  const int most = at::in_parallel_region() ? 1 : at::get_num_threads();
  return static_cast<int>(std::clamp<std::int64_t>(work / worth_a_thread, 1, most));
}

Numbers numbers_of(const at::Tensor& x) {
  if (x.scalar_type() == at::kBFloat16) return Numbers::kBf16;
  TORCH_CHECK(x.scalar_type() == at::kFloat, "rows are ", x.scalar_type(), "; expected fp32 or bf16");
  return Numbers::kFp32;
}

/// Rows of x, rounded, with what they consist of.
struct RoundedRows {
  at::Tensor values;  // [n, columns] int16
  at::Tensor scales;  // [n]

  Int16Rows rows() const {
    return {values.const_data_ptr<std::int16_t>(), scales.const_data_ptr<float>(), values.size(0)};
  }
};

/// x: [n, inputs].
RoundedRows rounded(const at::Tensor& x, std::int64_t columns) {
  RoundedRows all{at::empty({x.size(0), columns}, at::kShort), at::empty({x.size(0)}, at::kFloat)};
  round_rows(x.const_data_ptr(), numbers_of(x), x.size(0), x.size(1), columns,
             all.values.mutable_data_ptr<std::int16_t>(), all.scales.mutable_data_ptr<float>(),
             threads_for(x.numel(), kValuesAThread), allowed_instructions());
  return all;
}

std::int64_t round_up(std::int64_t count, std::int64_t step) { return (count + step - 1) / step * step; }

}  // namespace

Int8Matrix::Int8Matrix(at::Tensor values, at::Tensor scales, std::int64_t outputs, std::int64_t inputs)
    : values_(std::move(values)), scales_(std::move(scales)), outputs_(outputs), inputs_(inputs) {}

std::shared_ptr<const Int8Matrix> Int8Matrix::of(const at::Tensor& weight) {
  if (!weight.is_cpu()) return nullptr;
  const std::int64_t outputs = weight.size(0);
  const std::int64_t inputs = weight.size(1);
  const std::int64_t groups = round_up(inputs, kInt8Group) / kInt8Group;
  const std::int64_t blocks = round_up(outputs, kInt8Block) / kInt8Block;
  at::Tensor values = at::empty({blocks, groups * kInt8Group / 2, kInt8Block, 2}, at::kChar);
  at::Tensor scales = at::empty({blocks, groups, kInt8Block}, at::kBFloat16);
  for (std::int64_t first = 0; first < outputs; first += kOutputsAtOnce) {
    const std::int64_t count = std::min(kOutputsAtOnce, outputs - first);
    const std::int64_t filled = round_up(count, kInt8Block);
    const at::Tensor part = at::constant_pad_nd(weight.narrow(0, first, count).to(at::kFloat),
                                                {0, groups * kInt8Group - inputs, 0, filled - count})
                                .view({-1, kInt8Block, groups, kInt8Group});
    const at::Tensor scale = (part.abs().amax(3) / kWeightLevels).to(at::kBFloat16);  // [blocks, 32, groups]
    const at::Tensor levels = part / scale.to(at::kFloat).clamp_min(1e-30).unsqueeze(3);
    const auto place = [&](const at::Tensor& all) { return all.narrow(0, first / kInt8Block, filled / kInt8Block); };
    place(scales).copy_(scale.transpose(1, 2));
    place(values).copy_(levels.round()
                            .clamp_(-kWeightLevels, kWeightLevels)
                            .view({-1, kInt8Block, groups * kInt8Group / 2, 2})
                            .transpose(1, 2));
  }
  return std::shared_ptr<const Int8Matrix>(new Int8Matrix(std::move(values), std::move(scales), outputs, inputs));
}

at::Tensor Int8Matrix::linear(const at::Tensor& x, const at::Tensor& bias) const {
  const Int8Weights weights = {values_.const_data_ptr<std::int8_t>(),
                               reinterpret_cast<const std::uint16_t*>(scales_.const_data_ptr<at::BFloat16>()), outputs_,
                               2 * values_.size(1)};
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = outputs_;
  const at::Tensor y = at::empty(shape, x.options());
  const RoundedRows rows = rounded(x.reshape({-1, inputs_}).contiguous(), weights.columns);
  multiply_int8(weights, rows.rows(), y.mutable_data_ptr(), numbers_of(y),
                threads_for(y.numel() * inputs_, kProductsAThread), allowed_instructions());
  return bias.defined() ? y.add_(bias) : y;
}

at::Tensor Int8Matrix::dequantized() const {
  const at::Tensor levels = values_.to(at::kFloat)
                                .transpose(1, 2)  // [blocks, 32, columns / 2, 2]
                                .reshape({-1, kInt8Block, scales_.size(1), kInt8Group});
  const at::Tensor weights = levels * scales_.to(at::kFloat).transpose(1, 2).unsqueeze(3);
  return weights.view({-1, weights.size(2) * kInt8Group}).narrow(0, 0, outputs_).narrow(1, 0, inputs_).contiguous();
}

}  // namespace refrag::nn

#include "nn/int8_matrix.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "nn/int8_kernel.h"

namespace refrag::nn {
namespace {

constexpr float kWeightLevels = 127;
constexpr float kRowLevels = 32767;
// Up to so many rows whole numbers are faster than GEMM over weights that are widened first (docs/performance.md).
constexpr std::int64_t kFewRows = 32;
// Outputs whose weights are widened at a time: they stay in the cache until GEMM has read them.
constexpr std::int64_t kOutputsAtOnce = 1024;
// Multiplications that are worth another thread.
constexpr std::int64_t kProductsAThread = 1 << 18;

/// Rows of x as whole numbers, [n, columns], and a scale each.
struct QuantizedRows {
  std::vector<std::int16_t> values;
  std::vector<float> scales;
};

/// The largest magnitude. Bits of magnitudes sort as numbers do, infinity and then NaN above all: a row that holds one
/// gets a scale, and so products, that are not finite.
template <typename Value>
float largest(const Value* row, std::int64_t count) {
  constexpr std::uint32_t kMagnitude = 0x7fffffff;
  std::uint32_t largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(static_cast<float>(row[i])) & kMagnitude);
  }
  return std::bit_cast<float>(largest);
}

/// To the nearest whole number, which a float of this size holds in its lowest bits: unlike std::lrint for many at
/// once.
std::int16_t rounded(float value) {
  constexpr float kLowestBitIsOne = 12582912.0F;  // 1.5 · 2^23
  return static_cast<std::int16_t>(std::bit_cast<std::int32_t>(value + kLowestBitIsOne));
}

template <typename Value>
QuantizedRows quantize_rows(const at::Tensor& x, std::int64_t columns) {
  constexpr float kNothing = 1e-30F;
  const std::int64_t inputs = x.size(1);
  QuantizedRows rows{std::vector<std::int16_t>(static_cast<std::size_t>(x.size(0) * columns)), {}};
  for (std::int64_t r = 0; r < x.size(0); ++r) {
    const Value* row = x.const_data_ptr<Value>() + r * inputs;
    const float most = largest(row, inputs);
    const float levels = most < kNothing ? 0 : kRowLevels / most;
    std::int16_t* values = rows.values.data() + r * columns;
    for (std::int64_t i = 0; i < inputs; ++i) values[i] = rounded(static_cast<float>(row[i]) * levels);
    rows.scales.push_back(most / kRowLevels);
  }
  return rows;
}

QuantizedRows quantize(const at::Tensor& x, std::int64_t columns) {
  return x.scalar_type() == at::kBFloat16 ? quantize_rows<at::BFloat16>(x, columns)
                                          : quantize_rows<float>(x.to(at::kFloat), columns);
}

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

/// Threads for so many multiplications.
int threads_for(std::int64_t products) {
  const int most = at::in_parallel_region() ? 1 : at::get_num_threads();
  return static_cast<int>(std::clamp<std::int64_t>(products / kProductsAThread, 1, most));
}

/// [count, in], as `values` and `scales` of so many outputs give it.
at::Tensor widened(const Int8Weights& weights, std::int64_t first, std::int64_t count, std::int64_t inputs,
                   const at::TensorOptions& options) {
  const at::Tensor wide = at::empty({count, inputs}, options);
  const int threads = threads_for(count * inputs);
  if (wide.scalar_type() == at::kBFloat16) {
    auto* bits = reinterpret_cast<std::uint16_t*>(wide.mutable_data_ptr<at::BFloat16>());
    widen_int8(weights, first, first + count, inputs, bits, threads);
  } else {
    widen_int8(weights, first, first + count, inputs, wide.mutable_data_ptr<float>(), threads);
  }
  return wide;
}

}  // namespace

Int8Matrix::Int8Matrix(at::Tensor values, at::Tensor scales, std::int64_t inputs)
    : values_(std::move(values)), scales_(std::move(scales)), inputs_(inputs) {}

std::shared_ptr<const Int8Matrix> Int8Matrix::of(const at::Tensor& weight) {
  if (!weight.is_cpu()) return nullptr;
  const std::int64_t outputs = weight.size(0);
  const std::int64_t inputs = weight.size(1);
  const std::int64_t groups = (inputs + kInt8Group - 1) / kInt8Group;
  at::Tensor values = at::empty({outputs, groups, kInt8Group}, at::kChar);
  at::Tensor scales = at::empty({outputs, groups}, at::kBFloat16);
  for (std::int64_t first = 0; first < outputs; first += kOutputsAtOnce) {  // fp32 of all would take much memory
    const std::int64_t count = std::min(kOutputsAtOnce, outputs - first);
    const at::Tensor part =
        at::constant_pad_nd(weight.narrow(0, first, count).to(at::kFloat), {0, groups * kInt8Group - inputs})
            .view({count, groups, kInt8Group});
    const at::Tensor scale = (part.abs().amax(2) / kWeightLevels).to(at::kBFloat16);
    scales.narrow(0, first, count).copy_(scale);
    const at::Tensor levels = part / scale.to(at::kFloat).clamp_min(1e-30).unsqueeze(2);
    values.narrow(0, first, count).copy_(levels.round_().clamp_(-kWeightLevels, kWeightLevels));
  }
  return std::shared_ptr<const Int8Matrix>(new Int8Matrix(std::move(values), std::move(scales), inputs));
}

Int8Weights Int8Matrix::weights() const {
  return {values_.const_data_ptr<std::int8_t>(),
          reinterpret_cast<const std::uint16_t*>(scales_.const_data_ptr<at::BFloat16>()), values_.size(0),
          values_.size(1) * kInt8Group};
}

at::Tensor Int8Matrix::linear(const at::Tensor& x, const at::Tensor& bias) const {
  const at::Tensor rows = x.reshape({-1, inputs_});
  std::vector<std::int64_t> shape = x.sizes().vec();
  shape.back() = values_.size(0);
  const at::Tensor y = (rows.size(0) <= kFewRows ? few_rows(rows) : many_rows(rows)).view(shape);
  return bias.defined() ? y.add_(bias) : y;
}

at::Tensor Int8Matrix::few_rows(const at::Tensor& x) const {
  const Int8Weights weights = this->weights();
  const QuantizedRows rows = quantize(x.contiguous(), weights.columns);
  const at::Tensor products = at::empty({x.size(0), weights.outputs}, at::kFloat);
  multiply_int8({weights, rows.values.data(), rows.scales.data(), products.mutable_data_ptr<float>(), x.size(0)},
                threads_for(x.size(0) * weights.outputs * weights.columns), allowed_instructions());
  return products.to(x.scalar_type());
}

at::Tensor Int8Matrix::many_rows(const at::Tensor& x) const {
  const Int8Weights weights = this->weights();
  at::Tensor y = at::empty({x.size(0), weights.outputs}, x.options());
  for (std::int64_t first = 0; first < weights.outputs; first += kOutputsAtOnce) {
    const std::int64_t count = std::min(kOutputsAtOnce, weights.outputs - first);
    y.narrow(1, first, count).copy_(at::linear(x, widened(weights, first, count, inputs_, x.options())));
  }
  return y;
}

at::Tensor Int8Matrix::dequantized() const { return widened(weights(), 0, values_.size(0), inputs_, at::kFloat); }

}  // namespace refrag::nn

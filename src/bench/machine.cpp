#include "bench/machine.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>

#include "base/clock.h"
#include "model/parts.h"
#include "nn/attention.h"
#include "nn/blocked_weight.h"
#include "nn/int8_matrix.h"

namespace refrag::bench {
namespace {

constexpr std::int64_t kManyRows = 2048;
constexpr std::int64_t kManyBytes = 256 << 20;  // beyond any cache
constexpr int kLeastRuns = 3;  // the first may pay for memory and for kernels that are made when first used
constexpr int kMostRuns = 30;
constexpr double kEnoughMs = 400;
constexpr double kLongMs = 3000;

/// The best of several runs, seconds; what takes long by itself is run but once.
template <typename Run>
double best_seconds(const Run& run) {
  double best_ms = 0;
  const Stopwatch all;
  for (int n = 0; n < kMostRuns && (n < kLeastRuns || all.elapsed_ms() < kEnoughMs); ++n) {
    const Stopwatch watch;
    run();
    const double ms = watch.elapsed_ms();
    best_ms = n == 0 ? ms : std::min(best_ms, ms);
    if (ms > kLongMs) break;
  }
  return best_ms / 1000;
}

/// Memory that is there, and numbers that are neither zeros nor so small that they are slow.
at::Tensor some(at::IntArrayRef shape, const at::TensorOptions& options) { return at::full(shape, 0.01, options); }

double linear_rate(const LlamaConfig& config, const at::TensorOptions& options) {
  const std::int64_t outputs = 2 * config.ffn_width;
  const at::Tensor x = some({kManyRows, config.width}, options);
  const at::Tensor weight = some({outputs, config.width}, options);
  const double operations =
      2.0 * static_cast<double>(kManyRows) * static_cast<double>(outputs) * static_cast<double>(config.width);
  const double plain = operations / best_seconds([&] { at::linear(x, weight); });
  const auto blocked = nn::BlockedWeight::of(weight);
  return blocked == nullptr ? plain : std::max(plain, operations / best_seconds([&] { blocked->linear(x, {}); }));
}

double memory_rate(const LlamaConfig& config, const at::TensorOptions& options) {
  const auto value_bytes = static_cast<std::int64_t>(c10::elementSize(c10::typeMetaToScalarType(options.dtype())));
  const at::Tensor weight = some({kManyBytes / value_bytes / config.width, config.width}, options);
  const at::Tensor row = some({1, config.width}, options);
  const at::Tensor floats = some({kManyBytes / 4}, at::TensorOptions(at::kFloat));
  const double by_linear = static_cast<double>(weight.nbytes()) / best_seconds([&] { at::linear(row, weight); });
  const double by_sum = static_cast<double>(floats.nbytes()) / best_seconds([&] { at::sum(floats); });
  const auto int8 = nn::Int8Matrix::of(row.expand({kManyBytes / config.width, config.width}));
  const double by_int8 =
      int8 == nullptr ? 0 : static_cast<double>(kManyBytes) / best_seconds([&] { int8->linear(row, {}); });
  return std::max({by_linear, by_sum, by_int8});
}

/// One layer's attention of a prefill, step by step as the engine runs it.
double attention_rate(const LlamaConfig& config, const at::TensorOptions& options, std::int64_t positions,
                      std::int64_t step) {
  const at::Tensor q = some({std::min(positions, step), config.num_heads, config.head_dim}, options);
  const at::Tensor keys = some({config.num_kv_heads, positions, config.head_dim}, options);
  const at::Tensor values = some({config.num_kv_heads, positions, config.head_dim}, options);
  const double seconds = best_seconds([&] {
    for (std::int64_t first = 0; first < positions; first += step) {
      const std::int64_t rows = std::min(step, positions - first);
      nn::attend_causal(q.narrow(0, 0, rows), keys.narrow(1, 0, first + rows), values.narrow(1, 0, first + rows));
    }
  });
  const auto count = static_cast<double>(positions);
  return 4 * (count * (count + 1) / 2) * static_cast<double>(config.num_heads * config.head_dim) / seconds;
}

}  // namespace

MachineRates measure_machine(const ModelBundle& bundle, std::size_t max_positions, std::size_t step_positions) {
  const c10::InferenceMode no_gradients;
  at::init_num_threads();
  const LlamaDecoder& decoder = *bundle.parts().decoder;
  const LlamaConfig& config = decoder.config();
  MachineRates rates;
  rates.linear = linear_rate(config, decoder.options());
  rates.memory = memory_rate(config, decoder.options());
  const at::Tensor hidden = some({1, config.width}, decoder.options());
  rates.outside_ms = 1000 * best_seconds([&] { decoder.logits(hidden); });
  for (std::size_t positions = 64; positions < 2 * max_positions; positions *= 2) {
    const std::size_t measured = std::min(positions, max_positions);
    rates.attention[measured] = attention_rate(config, decoder.options(), static_cast<std::int64_t>(measured),
                                               static_cast<std::int64_t>(step_positions));
  }
  return rates;
}

}  // namespace refrag::bench

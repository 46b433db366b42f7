// A layer's operations in the shape of TinyLlama-1.1B, with a thread a core.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include <vector>

#include "base/cpu.h"
#include "nn/attention.h"
#include "nn/blocked_weight.h"
#include "nn/fused.h"
#include "nn/int8_matrix.h"
#include "nn/norms.h"
#include "nn/rotary.h"

namespace refrag {
namespace {

constexpr std::int64_t kWidth = 2048;
constexpr std::int64_t kFfnWidth = 5632;
constexpr std::int64_t kHeads = 32;
constexpr std::int64_t kKvHeads = 4;
constexpr std::int64_t kHeadDim = 64;

/// What serving sets for its own operations.
class Serving {
 public:
  Serving() { at::set_num_threads(static_cast<int>(physical_cores())); }

 private:
  c10::InferenceMode no_gradients_;
};

void count_operations(benchmark::State& state, double operations) {
  state.counters["FLOP/s"] = benchmark::Counter(operations, benchmark::Counter::kIsIterationInvariantRate);
}
void count_bytes(benchmark::State& state, double bytes) {
  state.counters["B/s"] = benchmark::Counter(bytes, benchmark::Counter::kIsIterationInvariantRate);
}

// ---------------------------------------------------------------- linear layers: rows

double linear_operations(std::int64_t rows) {
  return 2.0 * static_cast<double>(rows) * static_cast<double>(kWidth) * static_cast<double>(2 * kFfnWidth);
}

template <at::ScalarType dtype>
void linear(benchmark::State& state) {
  const Serving serving;
  const at::Tensor weight = at::rand({2 * kFfnWidth, kWidth}, dtype);
  const at::Tensor x = at::rand({state.range(0), kWidth}, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(at::linear(x, weight));
  count_operations(state, linear_operations(state.range(0)));
  count_bytes(state, static_cast<double>(weight.nbytes()));
}

/// The same by a weight that was laid out before.
template <at::ScalarType dtype>
void linear_blocked(benchmark::State& state) {
  const Serving serving;
  const auto weight = nn::BlockedWeight::of(at::rand({2 * kFfnWidth, kWidth}, dtype));
  const at::Tensor x = at::rand({state.range(0), kWidth}, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(weight->linear(x, {}));
  count_operations(state, linear_operations(state.range(0)));
  count_bytes(state, static_cast<double>(2 * kFfnWidth * kWidth) * static_cast<double>(c10::elementSize(dtype)));
}

std::vector<c10::IValue> call(const char* operation, std::vector<c10::IValue> arguments) {
  c10::Dispatcher::singleton().findSchemaOrThrow(operation, "").callBoxed(&arguments);
  return arguments;
}

/// int8 weights as serving keeps them.
void linear_int8(benchmark::State& state) {
  const Serving serving;
  const auto weight = nn::Int8Matrix::of(at::rand({2 * kFfnWidth, kWidth}));
  const at::Tensor x = at::rand({state.range(0), kWidth}, at::kBFloat16);
  for (auto _ : state) benchmark::DoNotOptimize(weight->linear(x, {}));
  count_operations(state, linear_operations(state.range(0)));
  count_bytes(state, static_cast<double>(2 * kFfnWidth * kWidth));
}

/// int8 weights and activations, quantized on the way (FBGEMM): what serving does not use.
void linear_fbgemm(benchmark::State& state) {
  const Serving serving;
  const at::Tensor weight = at::quantize_per_tensor(at::rand({2 * kFfnWidth, kWidth}), 1.0 / 127, 0, at::kQInt8);
  const c10::IValue packed = call("quantized::linear_prepack", {weight, c10::IValue()})[0];
  const at::Tensor x = at::rand({state.range(0), kWidth});
  for (auto _ : state) benchmark::DoNotOptimize(call("quantized::linear_dynamic", {x, packed, false}));
  count_operations(state, linear_operations(state.range(0)));
  count_bytes(state, static_cast<double>(weight.numel()));
}

BENCHMARK_TEMPLATE(linear, at::kFloat)->Arg(1)->Arg(8)->Arg(512)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(linear, at::kBFloat16)->Arg(1)->Arg(8)->Arg(512)->UseRealTime()->Unit(benchmark::kMillisecond);
/// From one question's token to a prompt of many chunks.
void rows_of_serving(benchmark::internal::Benchmark* rows) {
  rows->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const std::int64_t count : {1, 2, 3, 8, 32, 184, 512, 2048}) rows->Arg(count);
}
BENCHMARK_TEMPLATE(linear_blocked, at::kFloat)->Apply(rows_of_serving);
BENCHMARK_TEMPLATE(linear_blocked, at::kBFloat16)->Apply(rows_of_serving);
BENCHMARK(linear_int8)->Apply(rows_of_serving);
BENCHMARK(linear_fbgemm)->Arg(1)->Arg(8)->Arg(512)->UseRealTime()->Unit(benchmark::kMillisecond);

// ---------------------------------------------------------------- attention: rows, positions before them

template <at::ScalarType dtype>
void attention(benchmark::State& state) {
  const Serving serving;
  const std::int64_t rows = state.range(0);
  const std::int64_t past = state.range(1);
  const at::Tensor q = at::rand({rows, kHeads, kHeadDim}, dtype);
  const at::Tensor keys = at::rand({kKvHeads, past + rows, kHeadDim}, dtype);
  const at::Tensor values = at::rand({kKvHeads, past + rows, kHeadDim}, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(nn::attend_causal(q, keys, values));
  const double pairs = static_cast<double>(rows) * (static_cast<double>(past) + static_cast<double>(rows + 1) / 2);
  count_operations(state, 4 * pairs * static_cast<double>(kHeads * kHeadDim));
}

void attention_shapes(benchmark::internal::Benchmark* shapes) {
  shapes->ArgNames({"rows", "past"})->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const auto& [rows, past] : {std::pair{1, 1024}, {1, 16384}, {512, 0}, {2048, 0}, {2048, 2048}, {2048, 14336}}) {
    shapes->Args({rows, past});
  }
}
BENCHMARK_TEMPLATE(attention, at::kFloat)->Apply(attention_shapes);
BENCHMARK_TEMPLATE(attention, at::kBFloat16)->Apply(attention_shapes);

// ---------------------------------------------------------------- what stands between them: rows

template <at::ScalarType dtype>
void rms_norm(benchmark::State& state) {
  const Serving serving;
  const nn::RmsNorm norm{at::ones({kWidth}, dtype), 1e-5};
  const at::Tensor x = at::rand({state.range(0), kWidth}, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(norm(x));
  count_bytes(state, 2.0 * static_cast<double>(x.nbytes()));
}

template <at::ScalarType dtype>
void rotary(benchmark::State& state) {
  const Serving serving;
  nn::RotaryConfig config;
  config.head_dim = kHeadDim;
  const nn::Rotation rotation = nn::Rotary(config, at::kCPU).at(at::arange(state.range(0)));
  const at::Tensor x = at::rand({state.range(0), kHeads + kKvHeads, kHeadDim}, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(rotation(x));
  count_bytes(state, 2.0 * static_cast<double>(x.nbytes()));
}

template <at::ScalarType dtype>
void swiglu(benchmark::State& state) {
  const Serving serving;
  const at::Tensor gate_up = at::rand({state.range(0), 2 * kFfnWidth}, dtype);
  for (auto _ : state) benchmark::DoNotOptimize(nn::swiglu(gate_up));
  count_bytes(state, 1.5 * static_cast<double>(gate_up.nbytes()));
}

BENCHMARK_TEMPLATE(rms_norm, at::kFloat)->Arg(1)->Arg(512)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_TEMPLATE(rms_norm, at::kBFloat16)->Arg(1)->Arg(512)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_TEMPLATE(rotary, at::kFloat)->Arg(1)->Arg(512)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_TEMPLATE(rotary, at::kBFloat16)->Arg(1)->Arg(512)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_TEMPLATE(swiglu, at::kFloat)->Arg(1)->Arg(512)->UseRealTime()->Unit(benchmark::kMicrosecond);
BENCHMARK_TEMPLATE(swiglu, at::kBFloat16)->Arg(1)->Arg(512)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace refrag

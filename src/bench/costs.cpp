#include "bench/costs.h"

#include <algorithm>

namespace refrag::bench {
namespace {

constexpr double kMillisecondsASecond = 1000;

double number(std::size_t count) { return static_cast<double>(count); }

/// Weights of one layer's linear layers.
double layer_weights(const DecoderShape& shape) {
  const double q_width = number(shape.heads * shape.head_dim);
  const double kv_width = number(shape.kv_heads * shape.head_dim);
  const double width = number(shape.width);
  return width * (q_width + 2 * kv_width) + q_width * width + 3 * width * number(shape.ffn_width);
}

}  // namespace

Operations prefill_operations(const DecoderShape& shape, double positions) {
  const double layers = number(shape.layers);
  const double pairs = positions * (positions + 1) / 2;
  return {layers * 2 * positions * layer_weights(shape),
          layers * 4 * pairs * number(shape.heads) * number(shape.head_dim)};
}

Operations encode_operations(const EncoderShape& shape, double chunks, double tokens) {
  const double layers = number(shape.layers);
  const double width = number(shape.width);
  return {layers * chunks * 2 * tokens * (4 * width * width + 2 * width * number(shape.ffn_width)),
          layers * chunks * 4 * tokens * tokens * width};
}

double weights_a_token(const DecoderShape& shape) {
  return number(shape.layers) * layer_weights(shape) + number(shape.vocab_size) * number(shape.width);
}

double kv_bytes_a_position(const DecoderShape& shape, double bytes_a_value) {
  return 2 * number(shape.layers * shape.kv_heads * shape.head_dim) * bytes_a_value;
}

double paper_ideal_ratio(double width, double context, double chunk_size) {
  const double linear = 6 * width * context;
  const double attention = context * context;
  return chunk_size * chunk_size * (linear + attention) / (linear * chunk_size + attention);
}

double ideal_prefill_ms(const DecoderShape& shape, double positions, const OperationRates& rates) {
  const Operations operations = prefill_operations(shape, positions);
  return kMillisecondsASecond * (operations.linear / rates.linear + operations.attention / rates.attention(positions));
}

double ideal_encode_ms(const EncoderShape& shape, double chunks, double tokens, const OperationRates& rates) {
  return kMillisecondsASecond * encode_operations(shape, chunks, tokens).sum() / rates.linear;
}

double paper_measured_ratio(std::size_t context, std::size_t chunk_size, bool cached) {
  constexpr std::size_t kContext = 16384;
  if (context != kContext) return 0;
  if (chunk_size == 16) return cached ? 16.53 : 8.59;
  return chunk_size == 32 && cached ? 30.85 : 0;
}

double scale_to_layers(double ms, double outside_ms, std::size_t layers_run, std::size_t layers) {
  if (layers_run == layers || layers_run == 0) return ms;
  const double outside = std::min(outside_ms, ms);
  return outside + (ms - outside) * number(layers) / number(layers_run);
}

}  // namespace refrag::bench

#pragma once
#include <cstddef>
#include <functional>
#include <string>

namespace refrag::bench {

/// What decides how much a LLaMA decoder computes.
struct DecoderShape {
  std::string name;
  std::size_t layers = 0;
  std::size_t width = 0;      // d
  std::size_t heads = 0;      // H
  std::size_t kv_heads = 0;   // G
  std::size_t head_dim = 0;   // h
  std::size_t ffn_width = 0;  // f
  std::size_t vocab_size = 0;
  bool tied_embeddings = false;
};

/// The same of a BERT or RoBERTa encoder.
struct EncoderShape {
  std::string name;
  std::size_t layers = 0;
  std::size_t width = 0;
  std::size_t ffn_width = 0;
};

/// Floating-point operations; a multiplication and an addition are two.
struct Operations {
  double linear = 0;     // of linear layers
  double attention = 0;  // scores and weighted sums; of causal attention only the pairs that are seen
  double sum() const { return linear + attention; }
};

/// A prompt of `positions` through all layers: 2·T·(d·(H + 2G)·h + H·h·d + 3·d·f) and 2·T·(T + 1)·H·h a layer. The head
/// runs over one row and is left out.
Operations prefill_operations(const DecoderShape& shape, double positions);
/// `chunks` inputs of `tokens` each: 2·T·(4·d² + 2·d·f) and 4·T²·d a layer and chunk.
Operations encode_operations(const EncoderShape& shape, double chunks, double tokens);

/// Weights that one decoded token reads: all layers and the head, not the embedding table.
double weights_a_token(const DecoderShape& shape);
/// Bytes of keys and values of one position, at `bytes_a_value`.
double kv_bytes_a_position(const DecoderShape& shape, double bytes_a_value);

/// The paper's own ideal for LLaMA-2's shapes, by counting alone: k²(6ds + s²) / (6dsk + s²), for width d, s context
/// tokens and k tokens a chunk.
double paper_ideal_ratio(double width, double context, double chunk_size);

/// What the machine was measured to do, operations a second.
struct OperationRates {
  double linear = 0;
  std::function<double(double positions)> attention;  // of a prefill of so many positions
};

/// The least time a prefill can take: its operations at these rates, nothing else.
double ideal_prefill_ms(const DecoderShape& shape, double positions, const OperationRates& rates);
/// The same of encoding; its attention, over short rows, is counted at the linear rate.
double ideal_encode_ms(const EncoderShape& shape, double chunks, double tokens, const OperationRates& rates);

/// The paper's measured TTFT ratio against full context, or 0 where it gives none (sections 4 and A, one A100).
double paper_measured_ratio(std::size_t context, std::size_t chunk_size, bool cached);

/// A time measured over `layers_run` of `layers` equal layers, of which `outside_ms` is none of theirs, for all of
/// them.
double scale_to_layers(double ms, double outside_ms, std::size_t layers_run, std::size_t layers);

}  // namespace refrag::bench

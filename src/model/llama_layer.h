#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "model/kv_cache.h"
#include "model/llama_config.h"
#include "nn/attention.h"
#include "nn/linear.h"
#include "nn/norms.h"
#include "nn/rotary.h"

namespace refrag {

/// One sequence's share of the rows of a forward pass.
struct SequenceRows {
  std::int64_t rows = 0;     // T, at least 1
  KvCache* cache = nullptr;  // its past, extended by the rows; null: no past, and nothing is kept (training)
  /// An earlier sequence of the same pass, without a cache or a past, that these rows follow as if they stood behind it
  /// alone: several questions that share one context. -1: none.
  std::int64_t follows = -1;
};

/// What all layers of a forward pass share.
struct ForwardPass {
  nn::Rotation rotation;
  std::vector<SequenceRows> sequences;
  std::optional<nn::PackedRows> packed;  // where attention takes all sequences in one kernel
};

/// One transformer layer, with the projections of the same input held as one matrix.
struct LlamaLayer {
  std::int64_t num_heads = 0;     // H
  std::int64_t num_kv_heads = 0;  // G
  nn::RmsNorm attention_norm;     // input_layernorm
  nn::Linear qkv_proj;            // [(H + 2 G) * h, d]: q_proj, k_proj, v_proj
  nn::Linear o_proj;              // [d, H * h]
  nn::RmsNorm ffn_norm;           // post_attention_layernorm
  nn::Linear gate_up_proj;        // [2 * ffn, d]: gate_proj, up_proj
  nn::Linear down_proj;           // [d, ffn]

  /// x: [N, d], the rows of all sequences one after another. `layer` is this layer's number in the caches.
  at::Tensor forward(const at::Tensor& x, const ForwardPass& pass, std::size_t layer) const;

 private:
  at::Tensor attend(const at::Tensor& a, const ForwardPass& pass, std::size_t layer) const;
  at::Tensor attend_each(const at::Tensor& qk, const at::Tensor& v, std::span<const SequenceRows> sequences,
                         std::size_t layer) const;
};

}  // namespace refrag

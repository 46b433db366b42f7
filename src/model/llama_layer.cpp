#include "model/llama_layer.h"

#include <ATen/ATen.h>

#include <vector>

#include "nn/attention.h"

namespace refrag {

at::Tensor LlamaLayer::forward(const at::Tensor& x, const nn::Rotation& rotation,
                               std::span<const SequenceRows> sequences, std::size_t layer) const {
  const at::Tensor y = x + o_proj(attend(attention_norm(x), rotation, sequences, layer));  // [N, d]
  const std::vector<at::Tensor> gate_up = gate_up_proj(ffn_norm(y)).chunk(2, -1);          // two of [N, ffn]
  return y + down_proj(at::silu(gate_up[0]) * gate_up[1]);                                 // SwiGLU
}

at::Tensor LlamaLayer::attend(const at::Tensor& a, const nn::Rotation& rotation,
                              std::span<const SequenceRows> sequences, std::size_t layer) const {
  const at::Tensor qkv = qkv_proj(a).unflatten(-1, {num_heads + 2 * num_kv_heads, -1});  // [N, H + 2 G, h]
  const at::Tensor qk = rotation(qkv.narrow(1, 0, num_heads + num_kv_heads));            // [N, H + G, h]
  std::vector<at::Tensor> attended;
  std::int64_t first = 0;
  for (const SequenceRows& sequence : sequences) {
    const auto rows_of = [&](const at::Tensor& x, std::int64_t head, std::int64_t count) {
      return x.narrow(0, first, sequence.rows).narrow(1, head, count);
    };
    const at::Tensor q = rows_of(qk, 0, num_heads);                                            // [T, H, h]
    at::Tensor keys = rows_of(qk, num_heads, num_kv_heads).transpose(0, 1);                    // [G, T, h]
    at::Tensor values = rows_of(qkv, num_heads + num_kv_heads, num_kv_heads).transpose(0, 1);  // [G, T, h]
    if (sequence.cache != nullptr) {
      const KvCache::View past = sequence.cache->write(layer, keys, values);
      keys = past.keys;  // [G, P + T, h]
      values = past.values;
    }
    attended.push_back(nn::attend_causal(q, keys, values));  // [T, H * h]
    first += sequence.rows;
  }
  return attended.size() == 1 ? attended[0] : at::cat(attended);
}

}  // namespace refrag

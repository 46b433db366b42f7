#include "model/llama_layer.h"

#include <ATen/ATen.h>

#include <numeric>
#include <vector>

#include "nn/attention.h"
#include "nn/fused.h"

namespace refrag {
namespace {

/// What attends together, as the rows of each sequence: one sequence, or neighbours that follow the same past.
std::vector<std::vector<std::int64_t>> groups_of(std::span<const SequenceRows> sequences) {
  std::vector<std::vector<std::int64_t>> groups;
  for (std::size_t n = 0; n < sequences.size(); ++n) {
    const bool joins = n > 0 && sequences[n].follows >= 0 && sequences[n].follows == sequences[n - 1].follows;
    if (!joins) groups.emplace_back();
    groups.back().push_back(sequences[n].rows);
  }
  return groups;
}

std::vector<std::int64_t> rows_of(const std::vector<std::vector<std::int64_t>>& groups) {
  std::vector<std::int64_t> rows;
  rows.reserve(groups.size());
  for (const std::vector<std::int64_t>& group : groups) {
    rows.push_back(std::accumulate(group.begin(), group.end(), std::int64_t{0}));
  }
  return rows;
}

}  // namespace

at::Tensor LlamaLayer::forward(const at::Tensor& x, const ForwardPass& pass, std::size_t layer) const {
  const at::Tensor attended = o_proj(attend(attention_norm(x), pass, layer));        // [N, d]
  const auto [y, f] = nn::add_and_norm(x, attended, ffn_norm.weight, ffn_norm.eps);  // [N, d] both
  return y + down_proj(nn::swiglu(gate_up_proj(f)));
}

at::Tensor LlamaLayer::attend(const at::Tensor& a, const ForwardPass& pass, std::size_t layer) const {
  // Splits, not slices: the gradient of a split is put together once, that of each slice would be a whole tensor.
  const std::vector<at::Tensor> qk_v = qkv_proj(a)
                                           .unflatten(-1, {num_heads + 2 * num_kv_heads, -1})
                                           .split_with_sizes({num_heads + num_kv_heads, num_kv_heads}, 1);
  const at::Tensor qk = pass.rotation(qk_v[0]);
  if (pass.packed && nn::can_pack(qk.device(), qk.scalar_type(), qk.size(2))) {
    const std::vector<at::Tensor> q_k = qk.split_with_sizes({num_heads, num_kv_heads}, 1);
    return nn::attend_packed(q_k[0], q_k[1], qk_v[1], *pass.packed);
  }
  return attend_each(qk, qk_v[1], pass.sequences, layer);
}

/// A sequence at a time. qk: [N, H + G, h], rotated; v: [N, G, h].
at::Tensor LlamaLayer::attend_each(const at::Tensor& qk, const at::Tensor& v, std::span<const SequenceRows> sequences,
                                   std::size_t layer) const {
  const std::vector<std::vector<std::int64_t>> groups = groups_of(sequences);
  const std::vector<std::int64_t> rows = rows_of(groups);
  const std::vector<at::Tensor> qks = qk.split_with_sizes(rows, 0);  // of each group: [T, H + G, h]
  const std::vector<at::Tensor> vs = v.split_with_sizes(rows, 0);    // [T, G, h]
  std::vector<at::Tensor> attended;
  std::vector<KvCache::View> seen;  // by sequence: keys and values of its own rows
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const SequenceRows& sequence = sequences[seen.size()];  // the group's first
    const std::vector<at::Tensor> q_k = qks[g].split_with_sizes({num_heads, num_kv_heads}, 1);
    const at::Tensor& q = q_k[0];               // [T, H, h]
    at::Tensor keys = q_k[1].transpose(0, 1);   // [G, T, h]
    at::Tensor values = vs[g].transpose(0, 1);  // [G, T, h]
    seen.resize(seen.size() + groups[g].size(), {keys, values});
    if (sequence.follows >= 0) {
      const KvCache::View& past = seen.at(static_cast<std::size_t>(sequence.follows));
      keys = at::cat({past.keys, keys}, 1);  // [G, P + T, h]
      values = at::cat({past.values, values}, 1);
      attended.push_back(nn::attend_branches(q, keys, values, groups[g]));
      continue;
    }
    if (sequence.cache != nullptr) {
      const KvCache::View past = sequence.cache->write(layer, keys, values);
      keys = past.keys;  // [G, P + T, h]
      values = past.values;
    }
    attended.push_back(nn::attend_causal(q, keys, values));  // [T, H * h]
  }
  return attended.size() == 1 ? attended[0] : at::cat(attended);
}

}  // namespace refrag

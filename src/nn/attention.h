#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <utility>

namespace refrag::nn {

// H query heads, G key/value heads (H a multiple of G; query head i reads key/value head i / (H / G)), h a head's
// width. Memory is linear in the number of rows: no [T, T] matrix is ever made.

/// Causal attention of the last T of P + T positions of one sequence: row i sees keys 0 to P + i.
/// q: [T, H, h]; keys, values: [G, P + T, h]. Result: [T, H * h].
at::Tensor attend_causal(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values);

/// Several continuations of one past, none of which sees another one: each row sees the first P keys and, of its own
/// branch's, those up to its own. `lengths`: rows of each branch, R in all. q: [R, H, h]; keys, values: [G, P + R, h].
/// Result: [R, H * h].
at::Tensor attend_branches(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                           at::IntArrayRef lengths);

/// Where the rows of many sequences begin and end, for attend_packed. Made once a forward pass.
struct PackedRows {
  at::Tensor query_ends;  // [S + 1] int32: 0, and the rows up to the end of each sequence
  at::Tensor key_ends;    // [S + 1] int32, of the keys that each sequence sees
  at::Tensor key_rows;    // [K]: the rows that are those keys; undefined where each sequence sees its own rows alone
  std::int64_t longest_query = 0;
  std::int64_t longest_keys = 0;

  /// By sequence: its rows, and an earlier sequence whose rows it sees before its own, or -1.
  static PackedRows of(std::span<const std::pair<std::int64_t, std::int64_t>> rows_and_follows, at::Device device);
};

/// Causal attention of many sequences in one kernel (FlashAttention's variable-length form), each behind the one that
/// it follows: for training on a GPU, where a kernel a sequence would cost more than the work. q: [N, H, h];
/// k, v: [N, G, h], fp16 or bf16, on a CUDA device. Result: [N, H * h].
at::Tensor attend_packed(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const PackedRows& rows);
/// Whether attend_packed takes what an autocast or a plain model computes: a head's width that the kernel knows.
bool can_pack(at::Device device, at::ScalarType dtype, std::int64_t head_dim);

/// Bidirectional attention in a padded batch: every row sees the rows of its sequence that `mask` marks, at least one.
/// q, k, v: [B, L, H, h]; mask: [B, L] bool, or undefined where nothing is padded. Result: [B, L, H * h].
at::Tensor attend_all(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask);

}  // namespace refrag::nn

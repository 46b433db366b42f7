#pragma once
#include <ATen/core/Tensor.h>

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

/// Bidirectional attention in a padded batch: every row sees the rows of its sequence that `mask` marks, at least one.
/// q, k, v: [B, L, H, h]; mask: [B, L] bool, or undefined where nothing is padded. Result: [B, L, H * h].
at::Tensor attend_all(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask);

}  // namespace refrag::nn

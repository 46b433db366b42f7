#include "nn/attention.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "nn/flash_attention.h"

namespace refrag::nn {
namespace {

constexpr std::int64_t kBlockRows = 256;  // a mask of [256, P + T] is 16 MB of fp32 at 16,384 positions

/// One row sees all keys: the queries that share a key/value head are rows of one product, so no head is copied.
at::Tensor attend_one(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values) {
  const std::int64_t groups = keys.size(0);
  const at::Tensor rows = q.view({groups, 1, -1, q.size(2)});  // [G, 1, H / G, h]
  return at::scaled_dot_product_attention(rows, keys.unsqueeze(1), values.unsqueeze(1)).reshape({1, -1});
}

/// Key/value heads as the batch, their queries as heads: [T, H, h] -> [G, H / G, T, h], a view.
at::Tensor by_group(const at::Tensor& q, std::int64_t groups) {
  return q.unflatten(1, {groups, -1}).permute({1, 2, 0, 3});
}

/// [G, S, h] seen by all queries of its group, [G, H / G, S, h] with stride 0: a view.
at::Tensor for_each_query(const at::Tensor& heads, std::int64_t queries) {
  return heads.unsqueeze(1).expand({-1, queries, -1, -1});
}

/// Rows behind a past, as two parts without a mask: all of the past, which every row sees, and causally the rows
/// themselves. Each part gives its result and the logarithm of its sum of exponentials, by which they are joined. A
/// mask would cost a tenth to a sixth more.
at::Tensor attend_in_parts(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t past) {
  const std::int64_t rows = q.size(2);
  const auto attend = [&](std::int64_t first, std::int64_t count, bool is_causal) {
    return at::_scaled_dot_product_flash_attention_for_cpu(q, k.narrow(2, first, count), v.narrow(2, first, count),
                                                           /*dropout_p=*/0.0, is_causal);
  };
  const auto [of_past, log_sum_of_past] = attend(0, past, false);  // [G, H / G, T, h], [G, H / G, T]
  const auto [of_rows, log_sum_of_rows] = attend(past, rows, true);
  const at::Tensor share_of_rows = at::sigmoid(log_sum_of_rows - log_sum_of_past).unsqueeze(-1);
  return at::lerp(of_past.to(at::kFloat), of_rows.to(at::kFloat), share_of_rows).to(q.scalar_type());
}

/// The same in blocks of rows with a mask, each over the keys up to its last row: is_causal would align the mask with
/// the first key, not the last.
at::Tensor attend_in_blocks(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, std::int64_t past) {
  const std::int64_t rows = q.size(2);
  std::vector<at::Tensor> blocks;
  for (std::int64_t first = 0; first < rows; first += kBlockRows) {
    const std::int64_t count = std::min(kBlockRows, rows - first);
    const std::int64_t seen = past + first + count;
    const at::Tensor mask = at::ones({count, seen}, q.options().dtype(at::kBool)).tril(past + first);
    blocks.push_back(
        at::scaled_dot_product_attention(q.narrow(2, first, count), k.narrow(2, 0, seen), v.narrow(2, 0, seen), mask));
  }
  return blocks.size() == 1 ? blocks[0] : at::cat(blocks, 2);
}

}  // namespace

at::Tensor attend_causal(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values) {
  const std::int64_t rows = q.size(0);
  const std::int64_t past = keys.size(1) - rows;
  if (at::Tensor out = flash_attention(q, keys, values); out.defined()) return out;
  if (rows == 1) return attend_one(q, keys, values);

  const at::Tensor grouped = by_group(q, keys.size(0));  // [G, H / G, T, h]
  const at::Tensor k = for_each_query(keys, grouped.size(1));
  const at::Tensor v = for_each_query(values, grouped.size(1));
  at::Tensor out;
  if (past == 0) {
    out = at::scaled_dot_product_attention(grouped, k, v, /*attn_mask=*/{}, /*dropout_p=*/0.0, /*is_causal=*/true);
  } else {
    const bool has_parts = q.is_cpu() && !at::GradMode::is_enabled();  // no gradient passes through the logarithms
    out = has_parts ? attend_in_parts(grouped, k, v, past) : attend_in_blocks(grouped, k, v, past);
  }
  return out.permute({2, 0, 1, 3}).reshape({rows, -1});
}

at::Tensor attend_branches(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values,
                           at::IntArrayRef lengths) {
  const std::int64_t rows = q.size(0);
  const std::int64_t past = keys.size(1) - rows;
  const at::Tensor branch = at::repeat_interleave(at::tensor(lengths, at::kLong));  // [R]
  const at::Tensor own = branch.unsqueeze(1).eq(branch.unsqueeze(0)).tril();        // [R, R]
  const at::Tensor mask = at::cat({at::ones({rows, past}, at::kBool), own}, 1).to(q.device());
  const at::Tensor grouped = by_group(q, keys.size(0));  // [G, H / G, R, h]
  return at::scaled_dot_product_attention(grouped, for_each_query(keys, grouped.size(1)),
                                          for_each_query(values, grouped.size(1)), mask)
      .permute({2, 0, 1, 3})
      .reshape({rows, -1});
}

namespace {

/// GPUs before Ampere have no such kernel, and only the attempt tells without CUDA's own headers.
bool runs_packed(at::Device device) {
  const at::NoGradGuard no_gradients;
  const at::Tensor x = at::zeros({8, 1, 64}, at::TensorOptions(at::kHalf).device(device));
  const std::pair<std::int64_t, std::int64_t> one(8, -1);
  try {
    attend_packed(x, x, x, PackedRows::of(std::span(&one, 1), device));
    return true;
  } catch (const c10::Error&) {
    return false;
  }
}

}  // namespace

PackedRows PackedRows::of(std::span<const std::pair<std::int64_t, std::int64_t>> rows_and_follows, at::Device device) {
  std::vector<std::int32_t> query_ends = {0};
  std::vector<std::int32_t> key_ends = {0};
  std::vector<std::int64_t> key_rows;
  PackedRows packed;
  bool shares = false;
  const auto add_keys = [&](std::size_t n) {
    for (std::int32_t row = query_ends[n]; row < query_ends[n + 1]; ++row) key_rows.push_back(row);
  };
  for (std::size_t n = 0; n < rows_and_follows.size(); ++n) {
    const auto [rows, follows] = rows_and_follows[n];
    query_ends.push_back(query_ends.back() + static_cast<std::int32_t>(rows));
    if (follows >= 0) add_keys(static_cast<std::size_t>(follows));
    shares = shares || follows >= 0;
    add_keys(n);
    key_ends.push_back(static_cast<std::int32_t>(key_rows.size()));
    packed.longest_query = std::max(packed.longest_query, rows);
    packed.longest_keys = std::max<std::int64_t>(packed.longest_keys, key_ends[n + 1] - key_ends[n]);
  }
  packed.query_ends = at::tensor(query_ends, at::kInt).to(device);
  packed.key_ends = at::tensor(key_ends, at::kInt).to(device);
  if (shares) packed.key_rows = at::tensor(key_rows, at::kLong).to(device);
  return packed;
}

bool can_pack(at::Device device, at::ScalarType dtype, std::int64_t head_dim) {
  constexpr std::int64_t kWidestHead = 256;
  if (!device.is_cuda() || (dtype != at::kBFloat16 && dtype != at::kHalf)) return false;
  static const bool has_kernel = runs_packed(device);
  return has_kernel && head_dim % 8 == 0 && head_dim <= kWidestHead;
}

at::Tensor attend_packed(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const PackedRows& rows) {
  const auto keys_of = [&](const at::Tensor& x) {
    return rows.key_rows.defined() ? x.index_select(0, rows.key_rows) : x.contiguous();
  };
  // Where there are more keys than queries, the kernel's causal mask ends with both: row i of T sees the first
  // K - T + i + 1 keys.
  const auto results = at::_flash_attention_forward(q.contiguous(), keys_of(k), keys_of(v), rows.query_ends,
                                                    rows.key_ends, rows.longest_query, rows.longest_keys,
                                                    /*dropout_p=*/0.0, /*is_causal=*/true, /*return_debug_mask=*/false);
  return std::get<0>(results).flatten(1);
}

at::Tensor attend_all(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask) {
  std::optional<at::Tensor> seen;
  if (mask.defined()) seen = mask.unsqueeze(1).unsqueeze(1);  // [B, 1, 1, L]
  return at::scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), seen)
      .transpose(1, 2)
      .flatten(2);
}

}  // namespace refrag::nn

#include "nn/flash_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numbers>

#include "nn/cpu/threads.h"
#include "nn/fused.h"

namespace refrag::nn {
namespace {

// A part's sums stay in the second cache, and its keys are laid out but once for so many rows.
constexpr std::int64_t kMostRows = 384;
constexpr std::int64_t kLeastRows = 48;
constexpr std::int64_t kPartsAThread = 4;  // so that threads end together: later rows see more keys
constexpr std::int64_t kRowsATile = 6;
constexpr std::int64_t kProductsAThread = 1 << 20;  // about 10 us of work: starting a thread costs as much

std::int64_t round_up(std::int64_t count, std::int64_t step) { return (count + step - 1) / step * step; }

/// Dense heads, as the loops read them: any stride from row to row, and from head to head.
at::Tensor with_dense_rows(const at::Tensor& x) { return x.stride(2) == 1 ? x : x.contiguous(); }

/// One attention's rows, cut into parts of one key/value head each, the longest first.
class Parts {
 public:
  Parts(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values, const at::Tensor& out)
      : q_(q), keys_(keys), values_(values), out_(out), groups_(keys.size(0)) {
    whole_.queries = q.size(1) / groups_;
    whole_.past = keys.size(1) - q.size(0);
    whole_.width = q.size(2);
    whole_.q_stride = q.stride(0);
    whole_.key_stride = keys.stride(1);
    whole_.out_stride = out.stride(0);
    whole_.scale = static_cast<float>(std::numbers::log2e / std::sqrt(static_cast<double>(whole_.width)));
    whole_.end_row = q.size(0) * whole_.queries;
    const std::int64_t products = 2 * whole_.end_row * groups_ * keys.size(1) * whole_.width;
    threads_ = std::clamp<std::int64_t>(products / kProductsAThread, 1, at::get_num_threads());
    const std::int64_t rows_a_thread = whole_.end_row * groups_ / (threads_ * kPartsAThread);
    rows_a_part_ = std::clamp(round_up(rows_a_thread, kRowsATile), kLeastRows, kMostRows);
    blocks_ = (whole_.end_row + rows_a_part_ - 1) / rows_a_part_;
  }

  std::int64_t count() const { return blocks_ * groups_; }
  std::int64_t threads() const { return std::min(threads_, count()); }  // that are worth it
  std::int64_t scratch_bytes() const { return round_up(attention_scratch(rows_a_part_, whole_.width), 64); }

  AttentionPart at(std::int64_t number) const {
    const std::int64_t group = number % groups_;
    const std::int64_t block = blocks_ - 1 - number / groups_;
    AttentionPart part = whole_;
    part.q = place(q_, group * whole_.queries * whole_.width);
    part.keys = place(keys_, group * keys_.stride(0));
    part.values = place(values_, group * values_.stride(0));
    part.out = static_cast<std::byte*>(out_.mutable_data_ptr()) +
               group * whole_.queries * whole_.width * static_cast<std::int64_t>(out_.element_size());
    part.first_row = block * rows_a_part_;
    part.end_row = std::min(part.first_row + rows_a_part_, whole_.end_row);
    return part;
  }

 private:
  static const void* place(const at::Tensor& of, std::int64_t values) {
    return static_cast<const std::byte*>(of.const_data_ptr()) + values * static_cast<std::int64_t>(of.element_size());
  }

  const at::Tensor& q_;
  const at::Tensor& keys_;
  const at::Tensor& values_;
  const at::Tensor& out_;
  std::int64_t groups_;
  std::int64_t threads_ = 1;
  std::int64_t rows_a_part_ = 0;
  std::int64_t blocks_ = 0;
  AttentionPart whole_;
};

}  // namespace

at::Tensor flash_attention(const at::Tensor& q, const at::Tensor& keys, const at::Tensor& values) {
  const CpuKernels* kernels = q.numel() > 0 ? kernels_for(q, {keys, values}) : nullptr;
  if (kernels == nullptr || kernels->attend == nullptr || q.size(2) % kernels->attend_width != 0) return {};

  const at::Tensor queries = q.stride(2) == 1 && q.stride(1) == q.size(2) ? q : q.contiguous();
  at::Tensor k = with_dense_rows(keys);
  at::Tensor v = with_dense_rows(values);
  if (k.stride(1) != v.stride(1)) {  // of other layouts
    k = k.contiguous();
    v = v.contiguous();
  }
  const at::Tensor out = at::empty({q.size(0), q.size(1) * q.size(2)}, q.options());
  const Parts parts(queries, k, v, out);
  const at::Tensor scratch = at::empty({parts.threads(), parts.scratch_bytes()}, at::kByte);
  auto* const memory = static_cast<std::byte*>(scratch.mutable_data_ptr());
  std::atomic<std::int64_t> next = 0;
  run_threads(static_cast<int>(parts.threads()), [&](int number) {
    for (std::int64_t n = next++; n < parts.count(); n = next++) {
      kernels->attend(parts.at(n), memory + number * parts.scratch_bytes());
    }
  });
  return out;
}

}  // namespace refrag::nn

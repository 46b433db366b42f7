#include "nn/fused.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <vector>

#include "nn/cpu/threads.h"

namespace refrag::nn {
namespace {

constexpr std::int64_t kValuesAThread = 32768;  // about 10 us of work: starting a thread costs as much

/// Rows shared out to threads, `work(first, end)`.
template <typename Work>
void share_rows(std::int64_t rows, std::int64_t width, const Work& work) {
  const std::int64_t worth = std::min(rows, rows * width / kValuesAThread);
  const std::int64_t threads = std::clamp<std::int64_t>(worth, 1, at::get_num_threads());
  run_threads(static_cast<int>(threads),
              [&](int number) { work(rows * number / threads, rows * (number + 1) / threads); });
}

const std::byte* row(const void* first, std::int64_t place, const at::Tensor& of) {
  return static_cast<const std::byte*>(first) + place * static_cast<std::int64_t>(of.element_size());
}
std::byte* row(void* first, std::int64_t place, const at::Tensor& of) {
  return static_cast<std::byte*>(first) + place * static_cast<std::int64_t>(of.element_size());
}

at::Tensor plain_rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const at::Tensor wide = x.to(at::kFloat);
  const at::Tensor scale = at::rsqrt(wide.square().mean(-1, /*keepdim=*/true) + eps);  // [..., 1]
  return weight * (wide * scale).to(x.scalar_type());
}

/// `norm.sum` is undefined where nothing is added.
void run_norm(const CpuKernels& kernels, const at::Tensor& x, const at::Tensor& added, const at::Tensor& weight,
              double eps, const SumAndNorm& result) {
  NormRows all;
  all.x = x.const_data_ptr();
  all.weight = weight.const_data_ptr();
  all.out = result.norm.mutable_data_ptr();
  all.width = x.size(-1);
  all.eps = static_cast<float>(eps);
  if (added.defined()) {
    all.added = added.const_data_ptr();
    all.sum = result.sum.mutable_data_ptr();
  }
  share_rows(x.numel() / all.width, all.width, [&](std::int64_t first, std::int64_t end) {
    NormRows part = all;
    const std::int64_t place = first * all.width;
    part.x = row(all.x, place, x);
    part.out = row(all.out, place, x);
    if (added.defined()) {
      part.added = row(all.added, place, x);
      part.sum = row(all.sum, place, x);
    }
    part.rows = end - first;
    kernels.rms_norm(part);
  });
}

bool fits(const at::Tensor& x, const at::Tensor& weight) { return x.numel() > 0 && x.size(-1) == weight.numel(); }

}  // namespace

const CpuKernels* kernels_for(const at::Tensor& first, std::initializer_list<at::Tensor> others) {
  const auto dtype = first.scalar_type();
  if (!first.is_cpu() || (dtype != at::kFloat && dtype != at::kBFloat16)) return nullptr;
  bool needs_gradient = first.requires_grad();
  for (const at::Tensor& other : others) {
    if (!other.is_cpu() || other.scalar_type() != dtype) return nullptr;
    needs_gradient = needs_gradient || other.requires_grad();
  }
  if (needs_gradient && at::GradMode::is_enabled()) return nullptr;
  const CpuKernelSet* set = best_kernels();
  if (set == nullptr) return nullptr;
  return dtype == at::kFloat ? &set->fp32 : &set->bf16;
}

at::Tensor rms_norm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const CpuKernels* kernels = fits(x, weight) ? kernels_for(x, {weight}) : nullptr;
  if (kernels == nullptr) return plain_rms_norm(x, weight, eps);
  const at::Tensor rows = x.contiguous();
  const SumAndNorm result{{}, at::empty_like(rows)};
  run_norm(*kernels, rows, {}, weight.contiguous(), eps, result);
  return result.norm;
}

SumAndNorm add_and_norm(const at::Tensor& x, const at::Tensor& added, const at::Tensor& weight, double eps) {
  const bool same = x.sizes() == added.sizes() && fits(x, weight);
  const CpuKernels* kernels = same ? kernels_for(x, {added, weight}) : nullptr;
  if (kernels == nullptr) {
    at::Tensor sum = x + added;
    at::Tensor norm = plain_rms_norm(sum, weight, eps);
    return {std::move(sum), std::move(norm)};
  }
  const at::Tensor rows = x.contiguous();
  SumAndNorm result{at::empty_like(rows), at::empty_like(rows)};
  run_norm(*kernels, rows, added.contiguous(), weight.contiguous(), eps, result);
  return result;
}

at::Tensor swiglu(const at::Tensor& gate_up) {
  const CpuKernels* kernels = gate_up.numel() > 0 ? kernels_for(gate_up) : nullptr;
  if (kernels == nullptr) {
    const std::vector<at::Tensor> halves = gate_up.chunk(2, -1);
    return at::silu(halves[0]) * halves[1];
  }
  const at::Tensor rows = gate_up.contiguous();
  std::vector<std::int64_t> shape = gate_up.sizes().vec();
  shape.back() /= 2;
  at::Tensor out = at::empty(shape, gate_up.options());
  const GatedRows all{rows.const_data_ptr(), out.mutable_data_ptr(), 0, shape.back()};
  share_rows(out.numel() / all.width, 2 * all.width, [&](std::int64_t first, std::int64_t end) {
    GatedRows part = all;
    part.gate_up = row(all.gate_up, first * 2 * all.width, rows);
    part.out = row(all.out, first * all.width, rows);
    part.rows = end - first;
    kernels->swiglu(part);
  });
  return out;
}

void rotate_into(const at::Tensor& x, const at::Tensor& cosines, const at::Tensor& sines, const at::Tensor& out) {
  const at::Tensor cosine_rows = cosines.contiguous();
  const at::Tensor sine_rows = sines.contiguous();
  RotatedRows all;
  all.x = x.const_data_ptr();
  all.cosines = cosine_rows.const_data_ptr<float>();
  all.sines = sine_rows.const_data_ptr<float>();
  all.out = out.mutable_data_ptr();
  all.x_stride = x.stride(0);
  all.out_stride = out.stride(0);
  all.out_head_stride = out.stride(1);
  all.heads = x.size(1);
  all.width = x.size(2);
  const CpuKernels& kernels = *kernels_for(x, {out});
  share_rows(x.size(0), all.heads * all.width, [&](std::int64_t first, std::int64_t end) {
    RotatedRows part = all;
    part.x = row(all.x, first * all.x_stride, x);
    part.out = row(all.out, first * all.out_stride, out);
    part.cosines += first * all.width / 2;
    part.sines += first * all.width / 2;
    part.rows = end - first;
    kernels.rotate(part);
  });
}

}  // namespace refrag::nn

#pragma once
#include <cstdint>

namespace refrag::nn {

/// Inner loops on plain memory, compiled once for each set of instructions. No exceptions, no allocation, no threads:
/// who calls them checks shapes and shares out the work.

/// One key/value head's causal attention. A row is one query of one position: row r is query r % queries of position
/// r / queries, and sees keys 0 to past + r / queries.
struct AttentionPart {
  const void* q = nullptr;  // of position 0, query 0; queries of one position stand one after another
  const void* keys = nullptr;
  const void* values = nullptr;
  void* out = nullptr;
  std::int64_t q_stride = 0;    // values from position to position
  std::int64_t key_stride = 0;  // values from key to key, of keys and values alike
  std::int64_t out_stride = 0;
  std::int64_t queries = 0;  // H / G
  std::int64_t past = 0;
  std::int64_t width = 0;  // h
  float scale = 0;         // of the products
  std::int64_t first_row = 0;
  std::int64_t end_row = 0;
};

/// Rows of RMSNorm: [rows, width], of x or, where `added` is not null, of sum = x + added, which is written too.
struct NormRows {
  const void* x = nullptr;
  const void* added = nullptr;
  const void* weight = nullptr;  // [width]
  void* sum = nullptr;
  void* out = nullptr;
  std::int64_t rows = 0;
  std::int64_t width = 0;
  float eps = 0;
};

/// Heads of rows, turned by their position's angles: pairs are (i, i + width / 2).
struct RotatedRows {
  const void* x = nullptr;         // heads of a row stand one after another
  const float* cosines = nullptr;  // [rows, width / 2]
  const float* sines = nullptr;
  void* out = nullptr;
  std::int64_t x_stride = 0;  // values from row to row
  std::int64_t out_stride = 0;
  std::int64_t out_head_stride = 0;
  std::int64_t rows = 0;
  std::int64_t heads = 0;
  std::int64_t width = 0;  // even
};

/// silu(gate) * up of [rows, 2 * width], gates first, to [rows, width].
struct GatedRows {
  const void* gate_up = nullptr;
  void* out = nullptr;
  std::int64_t rows = 0;
  std::int64_t width = 0;
};

/// One dtype's loops. Null where these instructions do not have them.
struct CpuKernels {
  /// `scratch`: attention_scratch(end_row - first_row, width) bytes, aligned to 64.
  void (*attend)(const AttentionPart& part, void* scratch) = nullptr;
  std::int64_t attend_width = 0;  // the head's width must be a multiple of it
  void (*rms_norm)(const NormRows& rows) = nullptr;
  void (*rotate)(const RotatedRows& rows) = nullptr;
  void (*swiglu)(const GatedRows& rows) = nullptr;
};

struct CpuKernelSet {
  CpuKernels fp32;
  CpuKernels bf16;
};

constexpr std::int64_t kKeysABlock = 128;

constexpr std::int64_t attention_scratch(std::int64_t rows, std::int64_t width) {
  return 4 * (2 * kKeysABlock * width + rows * (width + 2) + 6 * kKeysABlock * 2 + 64);
}

/// Null where this processor lacks the instructions.
const CpuKernelSet* kernels_with_avx512();  // F, BW, DQ, VL; attention in bf16 where it has AVX-512 BF16 too
const CpuKernelSet* kernels_with_avx2();    // and FMA
/// The best that this processor has and libtorch uses (ATEN_CPU_CAPABILITY holds it back); null: none.
const CpuKernelSet* best_kernels();

#if defined(__x86_64__)
/// Whatever the processor has.
const CpuKernelSet& avx512_kernels();
const CpuKernelSet& avx2_kernels();
#endif

}  // namespace refrag::nn

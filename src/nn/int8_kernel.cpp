#include "nn/int8_kernel.h"

#include <algorithm>
#include <array>
#include <bit>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace refrag::nn {
namespace {

constexpr int kRowsATile = 4;
constexpr int kOutputsATile = 4;  // 16 sums: what the registers of AVX-512 hold beside the operands

/// Some outputs of the weights, and some rows.
struct Operands {
  const std::int8_t* weights;
  const std::uint16_t* scales;
  const std::int16_t* rows;
  std::int64_t columns;

  std::int64_t groups() const { return columns / kInt8Group; }
  float scale(int output, std::int64_t group) const;
};

float number_of(std::uint16_t bf16) { return std::bit_cast<float>(std::uint32_t{bf16} << 16); }

inline float Operands::scale(int output, std::int64_t group) const {
  return number_of(scales[output * groups() + group]);
}

/// Fills sums[row][output].
using Tile = void (*)(const Operands& operands, float* sums);
struct Kernel {
  Tile single;                         // one row, one output
  std::array<Tile, kRowsATile> tiles;  // 1 to 4 rows, kOutputsATile outputs
};

// ---------------------------------------------------------------- any processor

template <int kRows, int kOutputs>
void tile_plain(const Operands& x, float* sums) {
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOutputs; ++o) {
      float sum = 0;
      for (std::int64_t group = 0; group < x.groups(); ++group) {
        const std::int8_t* weights = x.weights + o * x.columns + group * kInt8Group;
        const std::int16_t* row = x.rows + r * x.columns + group * kInt8Group;
        std::int32_t part = 0;
        for (std::int64_t i = 0; i < kInt8Group; ++i) part += weights[i] * row[i];
        sum += static_cast<float>(part) * x.scale(o, group);
      }
      sums[r * kOutputs + o] = sum;
    }
  }
}

constexpr Kernel kPlain = {tile_plain<1, 1>,
                           {tile_plain<1, kOutputsATile>, tile_plain<2, kOutputsATile>, tile_plain<3, kOutputsATile>,
                            tile_plain<4, kOutputsATile>}};

#if defined(__x86_64__)

// One row reads its weights once, from memory: so many bytes ahead.
constexpr std::int64_t kAhead = 2048;

void prefetch(const std::int8_t* weights) { __builtin_prefetch(weights + kAhead); }

// ---------------------------------------------------------------- AVX-512 with VNNI

#define REFRAG_AVX512 [[gnu::target("avx512f,avx512bw,avx512vnni")]]

REFRAG_AVX512 inline __m512i widened(const std::int8_t* weights) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights)));
}

/// The products of a group's two halves.
REFRAG_AVX512 inline __m512 products(__m512i low, __m512i high, const std::int16_t* row) {
  const __m512i half = _mm512_madd_epi16(low, _mm512_loadu_si512(row));
  return _mm512_cvtepi32_ps(_mm512_dpwssd_epi32(half, high, _mm512_loadu_si512(row + kInt8Group / 2)));
}

REFRAG_AVX512 void single_avx512(const Operands& x, float* sums) {
  __m512 sum = _mm512_setzero_ps();
  for (std::int64_t group = 0; group < x.groups(); ++group) {
    const std::int8_t* weights = x.weights + group * kInt8Group;
    prefetch(weights);
    const __m512 part = products(widened(weights), widened(weights + kInt8Group / 2), x.rows + group * kInt8Group);
    sum = _mm512_fmadd_ps(part, _mm512_set1_ps(x.scale(0, group)), sum);
  }
  *sums = _mm512_reduce_add_ps(sum);
}

template <int kRows>
REFRAG_AVX512 void tile_avx512(const Operands& x, float* sums) {
  __m512 totals[kRows][kOutputsATile];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputsATile; ++o) totals[r][o] = _mm512_setzero_ps();
  }
  for (std::int64_t group = 0; group < x.groups(); ++group) {
    const std::int16_t* rows = x.rows + group * kInt8Group;
#pragma GCC unroll 4
    for (int o = 0; o < kOutputsATile; ++o) {
      const std::int8_t* weights = x.weights + o * x.columns + group * kInt8Group;
      const __m512i low = widened(weights);
      const __m512i high = widened(weights + kInt8Group / 2);
      const __m512 scale = _mm512_set1_ps(x.scale(o, group));
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        totals[r][o] = _mm512_fmadd_ps(products(low, high, rows + r * x.columns), scale, totals[r][o]);
      }
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
    for (int o = 0; o < kOutputsATile; ++o) sums[r * kOutputsATile + o] = _mm512_reduce_add_ps(totals[r][o]);
  }
}

constexpr Kernel kAvx512 = {single_avx512, {tile_avx512<1>, tile_avx512<2>, tile_avx512<3>, tile_avx512<4>}};

// ---------------------------------------------------------------- AVX2

#define REFRAG_AVX2 [[gnu::target("avx2,fma")]]

REFRAG_AVX2 inline float sum_of_lanes(__m256 lanes) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(lanes), _mm256_extractf128_ps(lanes, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

/// A quarter of a group's products, each added to its neighbour.
REFRAG_AVX2 inline __m256i quarter(const std::int8_t* weights, const std::int16_t* row) {
  const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights)));
  return _mm256_madd_epi16(wide, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(row)));
}

REFRAG_AVX2 inline __m256 group_products(const std::int8_t* weights, const std::int16_t* row) {
  const __m256i first = _mm256_add_epi32(quarter(weights, row), quarter(weights + 16, row + 16));
  const __m256i second = _mm256_add_epi32(quarter(weights + 32, row + 32), quarter(weights + 48, row + 48));
  return _mm256_cvtepi32_ps(_mm256_add_epi32(first, second));
}

template <int kRows, int kOutputs>
REFRAG_AVX2 void tile_avx2(const Operands& x, float* sums) {
  for (int o = 0; o < kOutputs; ++o) {
    __m256 totals[kRows];
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) totals[r] = _mm256_setzero_ps();
    for (std::int64_t group = 0; group < x.groups(); ++group) {
      const std::int8_t* weights = x.weights + o * x.columns + group * kInt8Group;
      if (kRows == 1) prefetch(weights);
      const __m256 scale = _mm256_set1_ps(x.scale(o, group));
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) {
        const __m256 part = group_products(weights, x.rows + r * x.columns + group * kInt8Group);
        totals[r] = _mm256_fmadd_ps(part, scale, totals[r]);
      }
    }
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) sums[r * kOutputs + o] = sum_of_lanes(totals[r]);
  }
}

constexpr Kernel kAvx2 = {tile_avx2<1, 1>,
                          {tile_avx2<1, kOutputsATile>, tile_avx2<2, kOutputsATile>, tile_avx2<3, kOutputsATile>,
                           tile_avx2<4, kOutputsATile>}};

#endif

const Kernel& kernel_of(Instructions instructions) {
#if defined(__x86_64__)
  if (instructions == Instructions::kAvx512Vnni) return kAvx512;
  if (instructions == Instructions::kAvx2) return kAvx2;
#endif
  return kPlain;
}

/// Fills the columns `first` to `last` (exclusive) of the products.
void multiply(const Kernel& kernel, const Int8Product& p, std::int64_t first, std::int64_t last) {
  const std::int64_t columns = p.weights.columns;
  std::array<float, kRowsATile * kOutputsATile> sums;
  for (std::int64_t output = first; output < last;) {
    // One row alone is read along, a whole row of weights after another; more share what they read.
    const bool alone = p.num_rows == 1 || last - output < kOutputsATile;
    const std::int64_t outputs = alone ? 1 : kOutputsATile;
    for (std::int64_t row = 0; row < p.num_rows;) {
      const std::int64_t rows = alone ? 1 : std::min<std::int64_t>(kRowsATile, p.num_rows - row);
      const Tile tile = alone ? kernel.single : kernel.tiles[static_cast<std::size_t>(rows - 1)];
      tile({p.weights.values + output * columns, p.weights.scales + output * (columns / kInt8Group),
            p.rows + row * columns, columns},
           sums.data());
      for (std::int64_t r = 0; r < rows; ++r) {
        for (std::int64_t o = 0; o < outputs; ++o) {
          p.products[(row + r) * p.weights.outputs + output + o] =
              sums[static_cast<std::size_t>(r * outputs + o)] * p.row_scales[row + r];
        }
      }
      row += rows;
    }
    output += outputs;
  }
}

// ---------------------------------------------------------------- int8 to numbers

void put(float number, float& wide) { wide = number; }

/// To the nearest bf16, the even one of two that are as near; for finite numbers.
void put(float number, std::uint16_t& wide) {
  const auto bits = std::bit_cast<std::uint32_t>(number);
  wide = static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

template <typename Wide>
[[gnu::always_inline]] inline void widen_row(const std::int8_t* values, const std::uint16_t* scales,
                                             std::int64_t inputs, Wide* wide) {
  for (std::int64_t begin = 0; begin < inputs; begin += kInt8Group) {
    const float scale = number_of(*scales++);
    const std::int64_t end = std::min(begin + kInt8Group, inputs);
    for (std::int64_t i = begin; i < end; ++i) put(static_cast<float>(values[i]) * scale, wide[i]);
  }
}

#if defined(__x86_64__)
template <typename Wide>
REFRAG_AVX2 void widen_row_avx2(const std::int8_t* values, const std::uint16_t* scales, std::int64_t inputs,
                                Wide* wide) {
  widen_row(values, scales, inputs, wide);  // compiled for AVX2 here
}
#endif

template <typename Wide>
void widen(const Int8Weights& weights, std::int64_t first, std::int64_t last, std::int64_t inputs, Wide* wide,
           int threads) {
  const bool has_avx2 = int8_instructions() != Instructions::kPlain;
#pragma omp parallel for schedule(static) if (threads > 1)
  for (std::int64_t output = first; output < last; ++output) {
    const std::int8_t* values = weights.values + output * weights.columns;
    const std::uint16_t* scales = weights.scales + output * (weights.columns / kInt8Group);
    Wide* row = wide + (output - first) * inputs;
#if defined(__x86_64__)
    if (has_avx2) {
      widen_row_avx2(values, scales, inputs, row);
      continue;
    }
#endif
    widen_row(values, scales, inputs, row);
  }
}

}  // namespace

Instructions int8_instructions() {
#if defined(__x86_64__)
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (has_avx2 && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw")) {
    return Instructions::kAvx512Vnni;
  }
  if (has_avx2) return Instructions::kAvx2;
#endif
  return Instructions::kPlain;
}

void multiply_int8(const Int8Product& product, int threads, Instructions instructions) {
  const Kernel& kernel = kernel_of(instructions);
  const std::int64_t outputs = product.weights.outputs;
#pragma omp parallel for schedule(static, 1) if (threads > 1)
  for (int thread = 0; thread < threads; ++thread) {
    multiply(kernel, product, outputs * thread / threads, outputs * (thread + 1) / threads);
  }
}

void widen_int8(const Int8Weights& weights, std::int64_t first, std::int64_t last, std::int64_t inputs, float* wide,
                int threads) {
  widen(weights, first, last, inputs, wide, threads);
}

void widen_int8(const Int8Weights& weights, std::int64_t first, std::int64_t last, std::int64_t inputs,
                std::uint16_t* wide, int threads) {
  widen(weights, first, last, inputs, wide, threads);
}

}  // namespace refrag::nn

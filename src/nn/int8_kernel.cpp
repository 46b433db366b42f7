#include "nn/int8_kernel.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>

#include "nn/cpu/threads.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace refrag::nn {
namespace {

constexpr std::int64_t kPairs = kInt8Group / 2;  // of columns in a group
constexpr std::int64_t kPairBytes = 2 * kInt8Block;
// Weights that a thread takes at a time: they stay in its second cache while all rows pass by.
constexpr std::int64_t kPieceBytes = 128 << 10;
constexpr std::int64_t kPiecesAThread = 16;  // so that threads end together

float number_of(std::uint16_t bf16) { return std::bit_cast<float>(std::uint32_t{bf16} << 16); }

/// One block of outputs, and some rows.
struct Operands {
  const std::int8_t* weights;
  const std::uint16_t* scales;
  const std::int16_t* rows;
  std::int64_t columns;
};

/// Adds to sums[row][output], which begin as zeros.
using Tile = void (*)(const Operands& operands, float* sums);
constexpr std::size_t kMostRows = 8;
struct Kernel {
  std::int64_t rows;                  // the most that a tile takes
  std::array<Tile, kMostRows> tiles;  // of 1 row, of 2, ...
};

// ---------------------------------------------------------------- any processor

void tile_plain(const Operands& x, float* sums) {
  const std::int8_t* weights = x.weights;
  const std::uint16_t* scales = x.scales;
  for (std::int64_t first = 0; first < x.columns; first += kInt8Group, scales += kInt8Block) {
    std::int32_t parts[kInt8Block] = {};
    for (std::int64_t column = first; column < first + kInt8Group; column += 2, weights += kPairBytes) {
      const std::int16_t* pair = x.rows + column;
      for (std::int64_t o = 0; o < kInt8Block; ++o) parts[o] += weights[2 * o] * pair[0] + weights[2 * o + 1] * pair[1];
    }
    for (std::int64_t o = 0; o < kInt8Block; ++o) sums[o] += static_cast<float>(parts[o]) * number_of(scales[o]);
  }
}

constexpr Kernel kPlain = {1, {tile_plain}};

#if defined(__x86_64__)

/// A row's pair of columns, for the weights of many outputs.
std::int32_t pair_at(const std::int16_t* row) {
  std::int32_t pair = 0;
  __builtin_memcpy(&pair, row, sizeof(pair));
  return pair;
}

// Weights are asked for so many bytes ahead: few rows wait for memory alone.
constexpr std::int64_t kAhead = 3072;

// ---------------------------------------------------------------- AVX-512 with VNNI

#define REFRAG_AVX512 [[gnu::target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma")]]

REFRAG_AVX512 inline __m512i widened_avx512(const std::int8_t* weights) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(weights)));
}

REFRAG_AVX512 inline __m512 scales_avx512(const std::uint16_t* scales) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(scales));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

template <int kRows>
REFRAG_AVX512 void tile_avx512(const Operands& x, float* sums) {
  constexpr int kChains = kRows == 1 ? 2 : 1;  // one row's sums alone would wait for each other
  constexpr int kVectors = 2;                  // of 16 outputs
  const std::int8_t* weights = x.weights;
  const std::uint16_t* scales = x.scales;
  for (std::int64_t first = 0; first < x.columns; first += kInt8Group, scales += kInt8Block) {
    const std::int16_t* rows = x.rows + first;
    __m512i parts[kRows][kVectors * kChains];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int n = 0; n < kVectors * kChains; ++n) parts[r][n] = _mm512_setzero_si512();
    }
    for (std::int64_t pair = 0; pair < kPairs; pair += kChains) {
#pragma GCC unroll 2
      for (int chain = 0; chain < kChains; ++chain, weights += kPairBytes) {
        __builtin_prefetch(weights + kAhead);
        const __m512i low = widened_avx512(weights);
        const __m512i high = widened_avx512(weights + kPairBytes / 2);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
          const __m512i both = _mm512_set1_epi32(pair_at(rows + r * x.columns + 2 * (pair + chain)));
          parts[r][2 * chain] = _mm512_dpwssd_epi32(parts[r][2 * chain], low, both);
          parts[r][2 * chain + 1] = _mm512_dpwssd_epi32(parts[r][2 * chain + 1], high, both);
        }
      }
    }
#pragma GCC unroll 2
    for (int n = 0; n < kVectors; ++n) {
      const __m512 scale = scales_avx512(scales + 16 * n);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) {
        __m512i part = parts[r][n];
        if (kChains == 2) part = _mm512_add_epi32(part, parts[r][n + kVectors * (kChains - 1)]);
        float* sum = sums + r * kInt8Block + 16 * n;
        _mm512_storeu_ps(sum, _mm512_fmadd_ps(_mm512_cvtepi32_ps(part), scale, _mm512_loadu_ps(sum)));
      }
    }
  }
}

constexpr Kernel kAvx512 = {8,
                            {tile_avx512<1>, tile_avx512<2>, tile_avx512<3>, tile_avx512<4>, tile_avx512<5>,
                             tile_avx512<6>, tile_avx512<7>, tile_avx512<8>}};

// ---------------------------------------------------------------- AVX2

#define REFRAG_AVX2 [[gnu::target("avx2,fma")]]

template <int kRows>
REFRAG_AVX2 void tile_avx2(const Operands& x, float* sums) {
  constexpr int kVectors = 4;  // of 8 outputs
  const std::int8_t* weights = x.weights;
  const std::uint16_t* scales = x.scales;
  for (std::int64_t first = 0; first < x.columns; first += kInt8Group, scales += kInt8Block) {
    const std::int16_t* rows = x.rows + first;
    __m256i parts[kRows][kVectors];
#pragma GCC unroll 3
    for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
      for (int n = 0; n < kVectors; ++n) parts[r][n] = _mm256_setzero_si256();
    }
    for (std::int64_t pair = 0; pair < kPairs; ++pair, weights += kPairBytes) {
      __builtin_prefetch(weights + kAhead);
#pragma GCC unroll 4
      for (int n = 0; n < kVectors; ++n) {
        const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(weights + 16 * n)));
#pragma GCC unroll 3
        for (int r = 0; r < kRows; ++r) {
          const __m256i both = _mm256_set1_epi32(pair_at(rows + r * x.columns + 2 * pair));
          parts[r][n] = _mm256_add_epi32(parts[r][n], _mm256_madd_epi16(wide, both));
        }
      }
    }
#pragma GCC unroll 4
    for (int n = 0; n < kVectors; ++n) {
      const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(scales + 8 * n));
      const __m256 scale = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
#pragma GCC unroll 3
      for (int r = 0; r < kRows; ++r) {
        float* sum = sums + r * kInt8Block + 8 * n;
        _mm256_storeu_ps(sum, _mm256_fmadd_ps(_mm256_cvtepi32_ps(parts[r][n]), scale, _mm256_loadu_ps(sum)));
      }
    }
  }
}

constexpr Kernel kAvx2 = {3, {tile_avx2<1>, tile_avx2<2>, tile_avx2<3>}};

#endif

const Kernel& kernel_of(Instructions instructions) {
#if defined(__x86_64__)
  if (instructions == Instructions::kAvx512Vnni) return kAvx512;
  if (instructions == Instructions::kAvx2) return kAvx2;
#endif
  return kPlain;
}

// ---------------------------------------------------------------- numbers in and out

float number_of(float number) { return number; }

void put(float number, float& out) { out = number; }

/// To the nearest bf16, the even one of two that are as near.
void put(float number, std::uint16_t& out) {
  const auto bits = std::bit_cast<std::uint32_t>(number);
  const std::uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  out = static_cast<std::uint16_t>(number == number ? rounded : 0x7fc0);
}

/// The largest magnitude. Bits of magnitudes sort as numbers do, infinity and then NaN above all: a row that holds one
/// gets a scale, and so products, that are not finite.
template <typename Number>
[[gnu::always_inline]] inline float largest(const Number* row, std::int64_t count) {
  constexpr std::uint32_t kMagnitude = 0x7fffffff;
  std::uint32_t largest = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::bit_cast<std::uint32_t>(number_of(row[i])) & kMagnitude);
  }
  return std::bit_cast<float>(largest);
}

/// To the nearest whole number, which a float of this size holds in its lowest bits: unlike std::lrint for many at
/// once.
[[gnu::always_inline]] inline std::int16_t rounded(float value) {
  constexpr float kLowestBitIsOne = 12582912.0F;  // 1.5 · 2^23
  return static_cast<std::int16_t>(std::bit_cast<std::int32_t>(value + kLowestBitIsOne));
}

template <typename Number>
[[gnu::always_inline]] inline float round_row(const Number* row, std::int64_t inputs, std::int16_t* values) {
  constexpr float kLevels = 32767;
  constexpr float kNothing = 1e-30F;
  const float most = largest(row, inputs);
  const float levels = most < kNothing ? 0 : kLevels / most;
  for (std::int64_t i = 0; i < inputs; ++i) values[i] = rounded(number_of(row[i]) * levels);
  return most / kLevels;
}

#if defined(__x86_64__)
template <typename Number>
REFRAG_AVX2 float round_row_avx2(const Number* row, std::int64_t inputs, std::int16_t* values) {
  return round_row(row, inputs, values);  // compiled for AVX2 here
}
#endif

template <typename Number>
float round_row(const Number* row, std::int64_t inputs, std::int16_t* values, Instructions instructions) {
#if defined(__x86_64__)
  if (instructions != Instructions::kPlain) return round_row_avx2(row, inputs, values);
#endif
  return round_row(row, inputs, values);
}

template <typename Number>
void put_row(const float* sums, float scale, std::int64_t count, Number* out) {
  for (std::int64_t o = 0; o < count; ++o) put(sums[o] * scale, out[o]);
}

/// A product that is shared out by blocks of outputs.
template <typename Number>
class Multiplication {
 public:
  Multiplication(const Kernel& kernel, const Int8Weights& weights, const Int16Rows& rows, Number* products)
      : kernel_(kernel), weights_(weights), rows_(rows), products_(products) {}

  /// The blocks `first` to `last` (exclusive) of all rows: a few rows stay in the first cache while blocks pass by.
  void fill(std::int64_t first, std::int64_t last) const {
    for (std::int64_t row = 0; row < rows_.count; row += kernel_.rows) {
      const std::int64_t count = std::min(kernel_.rows, rows_.count - row);
      for (std::int64_t block = first; block < last; ++block) fill(block, row, count);
    }
  }

 private:
  void fill(std::int64_t block, std::int64_t first_row, std::int64_t count) const {
    const std::int64_t columns = weights_.columns;
    alignas(64) std::array<float, kMostRows * kInt8Block> sums;
    std::fill_n(sums.begin(), count * kInt8Block, 0.0F);
    kernel_.tiles[static_cast<std::size_t>(count - 1)](
        {weights_.values + block * kInt8Block * columns, weights_.scales + block * kInt8Block * (columns / kInt8Group),
         rows_.values + first_row * columns, columns},
        sums.data());
    const std::int64_t output = block * kInt8Block;
    const std::int64_t outputs = std::min(kInt8Block, weights_.outputs - output);
    for (std::int64_t r = 0; r < count; ++r) {
      put_row(sums.data() + r * kInt8Block, rows_.scales[first_row + r], outputs,
              products_ + (first_row + r) * weights_.outputs + output);
    }
  }

  const Kernel& kernel_;
  const Int8Weights& weights_;
  const Int16Rows& rows_;
  Number* products_;
};

template <typename Number>
void multiply(const Int8Weights& weights, const Int16Rows& rows, Number* products, int threads,
              Instructions instructions) {
  const Multiplication<Number> all(kernel_of(instructions), weights, rows, products);
  const std::int64_t blocks = weights.blocks();
  const std::int64_t a_piece = std::clamp<std::int64_t>(kPieceBytes / (kInt8Block * weights.columns), 1,
                                                        std::max<std::int64_t>(1, blocks / (threads * kPiecesAThread)));
  std::atomic<std::int64_t> next = 0;
  run_threads(threads, [&](int) {
    for (std::int64_t first = next.fetch_add(a_piece); first < blocks; first = next.fetch_add(a_piece)) {
      all.fill(first, std::min(first + a_piece, blocks));
    }
  });
}

}  // namespace

Instructions int8_instructions() {
#if defined(__x86_64__)
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
  if (has_avx2 && has_avx512) return Instructions::kAvx512Vnni;
  if (has_avx2) return Instructions::kAvx2;
#endif
  return Instructions::kPlain;
}

void round_rows(const void* rows, Numbers numbers, std::int64_t count, std::int64_t inputs, std::int64_t columns,
                std::int16_t* values, float* scales, int threads, Instructions instructions) {
  run_threads(threads, [&](int number) {
    for (std::int64_t r = count * number / threads; r < count * (number + 1) / threads; ++r) {
      std::int16_t* row = values + r * columns;
      scales[r] = numbers == Numbers::kBf16
                      ? round_row(static_cast<const std::uint16_t*>(rows) + r * inputs, inputs, row, instructions)
                      : round_row(static_cast<const float*>(rows) + r * inputs, inputs, row, instructions);
      std::fill(row + inputs, row + columns, std::int16_t{0});
    }
  });
}

void multiply_int8(const Int8Weights& weights, const Int16Rows& rows, void* products, Numbers numbers, int threads,
                   Instructions instructions) {
  if (numbers == Numbers::kBf16) {
    multiply(weights, rows, static_cast<std::uint16_t*>(products), threads, instructions);
  } else {
    multiply(weights, rows, static_cast<float*>(products), threads, instructions);
  }
}

}  // namespace refrag::nn

// Compiled with AVX2 and FMA. Only what has internal linkage may stand here: an inline function of a library, compiled
// with these instructions, could be the copy that the linker keeps for everybody.
#include <immintrin.h>

#include "nn/cpu/kernels.h"

namespace refrag::nn {
namespace {

#include "nn/cpu/simd_constants.inc"

struct Simd {
  using Floats = __m256;
  static constexpr int kLanes = 8;
  static constexpr int kVectors = 2;  // 6 x 2 sums, 2 columns and a row's value are in registers

  static Floats load(const void* from) { return _mm256_loadu_ps(static_cast<const float*>(from)); }
  static void store(Floats x, float* to) { _mm256_storeu_ps(to, x); }
  static Floats broadcast(const std::uint32_t* from) {
    return _mm256_broadcast_ss(reinterpret_cast<const float*>(from));
  }
  static Floats fill(float x) { return _mm256_set1_ps(x); }
  static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm256_fmadd_ps(a, b, c); }
  static Floats multiply_subtract(Floats a, Floats b, Floats c) { return _mm256_fmsub_ps(a, b, c); }
  static Floats divide(Floats a, Floats b) { return _mm256_div_ps(a, b); }
  static Floats max(Floats so_far, Floats x) { return _mm256_max_ps(so_far, x); }
  static float greatest(Floats x) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_shuffle_ps(half, half, 1)));
  }
  static float sum(Floats x) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
  }
  static Floats first_of(Floats x, std::int64_t count, Floats rest) {
    const __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i is_first = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), places);
    return _mm256_blendv_ps(rest, x, _mm256_castsi256_ps(is_first));
  }

  /// 2^x for x of at most 0; what is no number stays so.
  static Floats exp2(Floats x) {
    x = _mm256_max_ps(_mm256_set1_ps(-200), x);
    const Floats whole = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    return scaled(exp2_of_fraction(_mm256_sub_ps(x, whole)), whole);
  }
  static float exp2_of(float x) { return _mm256_cvtss_f32(exp2(_mm256_set1_ps(x))); }
  static Floats exp(Floats x) {
    x = _mm256_min_ps(_mm256_set1_ps(138), _mm256_max_ps(_mm256_set1_ps(-138), x));
    const Floats whole =
        _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(kLog2E)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Floats rest =
        _mm256_fnmadd_ps(whole, _mm256_set1_ps(kLn2Low), _mm256_fnmadd_ps(whole, _mm256_set1_ps(kLn2High), x));
    return scaled(exp2_of_fraction(_mm256_mul_ps(rest, _mm256_set1_ps(kLog2E))), whole);
  }
  /// 2^x for x from -1/2 to 1/2, to 2e-7 (Cephes, exp2f).
  static Floats exp2_of_fraction(Floats x) {
    Floats power = _mm256_set1_ps(kExp2[0]);
    for (int n = 1; n < 7; ++n) power = _mm256_fmadd_ps(power, x, _mm256_set1_ps(kExp2[n]));
    return power;
  }
  /// x * 2^whole for whole from -250 to 250, in two steps: one exponent would not hold it.
  static Floats scaled(Floats x, Floats whole) {
    const __m256i all = _mm256_cvtps_epi32(whole);
    const __m256i half = _mm256_srai_epi32(all, 1);
    const auto power = [](__m256i n) {
      return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
    };
    return _mm256_mul_ps(_mm256_mul_ps(x, power(half)), power(_mm256_sub_epi32(all, half)));
  }

  /// 8 x 8 lanes; a row that is null is zeros.
  static void transpose(const std::uint32_t* const* rows, std::int64_t lane, std::uint32_t* out, std::int64_t stride) {
    __m256 a[8];
    for (int n = 0; n < 8; ++n) a[n] = rows[n] == nullptr ? _mm256_setzero_ps() : load(rows[n] + lane);
    __m256 b[8];
    for (int n = 0; n < 8; n += 2) {
      b[n] = _mm256_unpacklo_ps(a[n], a[n + 1]);
      b[n + 1] = _mm256_unpackhi_ps(a[n], a[n + 1]);
    }
    for (int n = 0; n < 8; n += 4) {
      a[n] = _mm256_shuffle_ps(b[n], b[n + 2], 0x44);
      a[n + 1] = _mm256_shuffle_ps(b[n], b[n + 2], 0xee);
      a[n + 2] = _mm256_shuffle_ps(b[n + 1], b[n + 3], 0x44);
      a[n + 3] = _mm256_shuffle_ps(b[n + 1], b[n + 3], 0xee);
    }
    for (int n = 0; n < 4; ++n) {
      store(_mm256_permute2f128_ps(a[n], a[n + 4], 0x20), reinterpret_cast<float*>(out + n * stride));
      store(_mm256_permute2f128_ps(a[n], a[n + 4], 0x31), reinterpret_cast<float*>(out + (n + 4) * stride));
    }
  }
};

#include "nn/cpu/flash_attention.inc"

struct Fp32Values {
  using Value = float;
  static constexpr int kALane = 1;
  static Simd::Floats multiply_add(Simd::Floats a, Simd::Floats b, Simd::Floats sum) {
    return _mm256_fmadd_ps(a, b, sum);
  }
  static void store(Simd::Floats x, std::uint32_t* row, std::int64_t place) {
    _mm256_storeu_ps(reinterpret_cast<float*>(row) + place, x);
  }
  static void store_values(Simd::Floats x, float* to) { _mm256_storeu_ps(to, x); }
  static void store_rounded(Simd::Floats x, float* to) { _mm256_storeu_ps(to, x); }
  static Simd::Floats load_values(const float* from) { return _mm256_loadu_ps(from); }
  static Simd::Floats rounded(Simd::Floats x) { return x; }
  static void lay_out_values(const AttentionPart& part, std::int64_t first, std::int64_t count, std::uint32_t* out) {
    const auto* values = static_cast<const float*>(part.values) + first * part.key_stride;
    for (std::int64_t n = 0; n < count; ++n) {
      for (std::int64_t column = 0; column < part.width; column += 8) {
        Simd::store(_mm256_loadu_ps(values + n * part.key_stride + column),
                    reinterpret_cast<float*>(out) + n * part.width + column);
      }
    }
  }
};

/// For rows only: nothing multiplies bf16 here.
struct Bf16Values {
  using Value = std::uint16_t;
  static Simd::Floats load_values(const std::uint16_t* from) {
    return widened(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static Simd::Floats widened(__m128i x) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(x), 16));
  }
  /// To the nearest, ties to even.
  static __m128i narrowed(Simd::Floats x) {
    const __m256i bits = _mm256_castps_si256(x);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256 is_nan = _mm256_cmp_ps(x, x, _CMP_UNORD_Q);
    const __m256i words =
        _mm256_blendv_epi8(_mm256_srli_epi32(up, 16), _mm256_set1_epi32(0x7fc0), _mm256_castps_si256(is_nan));
    return _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  }
  static Simd::Floats rounded(Simd::Floats x) { return widened(narrowed(x)); }
  static void store_rounded(Simd::Floats x, std::uint16_t* to) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), narrowed(x));
  }
};

#include "nn/cpu/row_operations.inc"

}  // namespace

const CpuKernelSet& avx2_kernels() {
  static constexpr CpuKernelSet kernels{
      {&attend<Fp32Values>, 8, &rms_norm<Fp32Values>, &rotate<Fp32Values>, &swiglu<Fp32Values>},
      {nullptr, 0, &rms_norm<Bf16Values>, &rotate<Bf16Values>, &swiglu<Bf16Values>}};
  return kernels;
}

}  // namespace refrag::nn

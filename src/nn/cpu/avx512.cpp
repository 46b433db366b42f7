// Compiled with AVX-512 (F, BW, DQ, VL, BF16). Only what has internal linkage may stand here: an inline function of a
// library, compiled with these instructions, could be the copy that the linker keeps for everybody.
#include <immintrin.h>

#include "nn/cpu/kernels.h"

namespace refrag::nn {
namespace {

#include "nn/cpu/simd_constants.inc"

struct Simd {
  using Floats = __m512;
  static constexpr int kLanes = 16;
  static constexpr int kVectors = 4;  // 6 x 4 sums, 4 columns and a row's value are in registers

  static Floats load(const void* from) { return _mm512_loadu_ps(from); }
  static void store(Floats x, float* to) { _mm512_storeu_ps(to, x); }
  static Floats broadcast(const std::uint32_t* from) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(*from)));
  }
  static Floats fill(float x) { return _mm512_set1_ps(x); }
  static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
  static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
  static Floats multiply_subtract(Floats a, Floats b, Floats c) { return _mm512_fmsub_ps(a, b, c); }
  static Floats max(Floats so_far, Floats x) { return _mm512_max_ps(so_far, x); }
  static float greatest(Floats x) { return _mm512_reduce_max_ps(x); }
  static float sum(Floats x) { return _mm512_reduce_add_ps(x); }
  static Floats first_of(Floats x, std::int64_t count, Floats rest) {
    return _mm512_mask_blend_ps(static_cast<__mmask16>((1U << count) - 1U), rest, x);
  }
  static Floats multiply_add(Floats a, Floats b, Floats c) { return _mm512_fmadd_ps(a, b, c); }
  static Floats divide(Floats a, Floats b) { return _mm512_div_ps(a, b); }

  /// 2^x for x of at most 0; what is no number stays so.
  static Floats exp2(Floats x) {
    x = _mm512_max_ps(_mm512_set1_ps(-200), x);
    const Floats whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    return _mm512_scalef_ps(exp2_of_fraction(_mm512_sub_ps(x, whole)), whole);
  }
  static float exp2_of(float x) { return _mm512_cvtss_f32(exp2(_mm512_set1_ps(x))); }
  static Floats exp(Floats x) {
    x = _mm512_min_ps(_mm512_set1_ps(200), _mm512_max_ps(_mm512_set1_ps(-200), x));
    const Floats whole =
        _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(kLog2E)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    const Floats rest =
        _mm512_fnmadd_ps(whole, _mm512_set1_ps(kLn2Low), _mm512_fnmadd_ps(whole, _mm512_set1_ps(kLn2High), x));
    return _mm512_scalef_ps(exp2_of_fraction(_mm512_mul_ps(rest, _mm512_set1_ps(kLog2E))), whole);
  }
  /// 2^x for x from -1/2 to 1/2, to 2e-7 (Cephes, exp2f).
  static Floats exp2_of_fraction(Floats x) {
    Floats power = _mm512_set1_ps(kExp2[0]);
    for (int n = 1; n < 7; ++n) power = _mm512_fmadd_ps(power, x, _mm512_set1_ps(kExp2[n]));
    return power;
  }

  /// 16 x 16 lanes; a row that is null is zeros.
  static void transpose(const std::uint32_t* const* rows, std::int64_t lane, std::uint32_t* out, std::int64_t stride) {
    __m512i a[16];
    for (int n = 0; n < 16; ++n) {
      a[n] = rows[n] == nullptr ? _mm512_setzero_si512() : _mm512_loadu_si512(rows[n] + lane);
    }
    __m512i b[16];
    for (int n = 0; n < 16; n += 2) {
      b[n] = _mm512_unpacklo_epi32(a[n], a[n + 1]);
      b[n + 1] = _mm512_unpackhi_epi32(a[n], a[n + 1]);
    }
    for (int n = 0; n < 16; n += 4) {
      a[n] = _mm512_unpacklo_epi64(b[n], b[n + 2]);
      a[n + 1] = _mm512_unpackhi_epi64(b[n], b[n + 2]);
      a[n + 2] = _mm512_unpacklo_epi64(b[n + 1], b[n + 3]);
      a[n + 3] = _mm512_unpackhi_epi64(b[n + 1], b[n + 3]);
    }
    for (int n = 0; n < 4; ++n) {
      b[n] = _mm512_shuffle_i32x4(a[n], a[n + 4], 0x88);
      b[n + 4] = _mm512_shuffle_i32x4(a[n], a[n + 4], 0xdd);
      b[n + 8] = _mm512_shuffle_i32x4(a[n + 8], a[n + 12], 0x88);
      b[n + 12] = _mm512_shuffle_i32x4(a[n + 8], a[n + 12], 0xdd);
    }
    for (int n = 0; n < 4; ++n) {
      _mm512_storeu_si512(out + n * stride, _mm512_shuffle_i32x4(b[n], b[n + 8], 0x88));
      _mm512_storeu_si512(out + (n + 4) * stride, _mm512_shuffle_i32x4(b[n + 4], b[n + 12], 0x88));
      _mm512_storeu_si512(out + (n + 8) * stride, _mm512_shuffle_i32x4(b[n], b[n + 8], 0xdd));
      _mm512_storeu_si512(out + (n + 12) * stride, _mm512_shuffle_i32x4(b[n + 4], b[n + 12], 0xdd));
    }
  }
};

#include "nn/cpu/flash_attention.inc"

struct Fp32Values {
  using Value = float;
  static constexpr int kALane = 1;
  static Simd::Floats multiply_add(Simd::Floats a, Simd::Floats b, Simd::Floats sum) {
    return _mm512_fmadd_ps(a, b, sum);
  }
  static void store(Simd::Floats x, std::uint32_t* row, std::int64_t place) { _mm512_storeu_ps(row + place, x); }
  static void store_values(Simd::Floats x, float* to) { _mm512_storeu_ps(to, x); }
  static void store_rounded(Simd::Floats x, float* to) { _mm512_storeu_ps(to, x); }
  static Simd::Floats load_values(const float* from) { return _mm512_loadu_ps(from); }
  static Simd::Floats rounded(Simd::Floats x) { return x; }
  static void lay_out_values(const AttentionPart& part, std::int64_t first, std::int64_t count, std::uint32_t* out) {
    const auto* values = static_cast<const float*>(part.values) + first * part.key_stride;
    for (std::int64_t n = 0; n < count; ++n) {
      for (std::int64_t column = 0; column < part.width; column += 16) {
        _mm512_storeu_ps(out + n * part.width + column, _mm512_loadu_ps(values + n * part.key_stride + column));
      }
    }
  }
};

struct Bf16Values {
  using Value = std::uint16_t;
  static constexpr int kALane = 2;
  static Simd::Floats multiply_add(Simd::Floats a, Simd::Floats b, Simd::Floats sum) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
  }
  static void store_values(Simd::Floats x, std::uint16_t* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
  }
  static void store(Simd::Floats x, std::uint32_t* row, std::int64_t place) {
    store_values(x, reinterpret_cast<std::uint16_t*>(row) + place);
  }
  static Simd::Floats load_values(const std::uint16_t* from) {
    return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static Simd::Floats widened(__m256i x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(x), 16));
  }
  /// To the nearest, ties to even, without the instructions of AVX-512 BF16: rows are computed where it lacks too.
  static __m256i narrowed(Simd::Floats x) {
    const __m512i bits = _mm512_castps_si512(x);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i up = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    return _mm512_cvtepi32_epi16(_mm512_mask_blend_epi32(is_nan, _mm512_srli_epi32(up, 16), _mm512_set1_epi32(0x7fc0)));
  }
  static Simd::Floats rounded(Simd::Floats x) { return widened(narrowed(x)); }
  static void store_rounded(Simd::Floats x, std::uint16_t* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrowed(x));
  }
  /// Two rows at a time, each lane a column of both.
  static void lay_out_values(const AttentionPart& part, std::int64_t first, std::int64_t count, std::uint32_t* out) {
    const auto* values = static_cast<const std::uint16_t*>(part.values) + first * part.key_stride;
    for (std::int64_t n = 0; n < count; n += 2) {
      for (std::int64_t column = 0; column < part.width; column += 16) {
        const std::uint16_t* at = values + n * part.key_stride + column;
        const __m512i even = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
        const __m512i odd =
            n + 1 < count
                ? _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + part.key_stride)))
                : _mm512_setzero_si512();
        _mm512_storeu_si512(out + n / 2 * part.width + column, _mm512_or_si512(even, _mm512_slli_epi32(odd, 16)));
      }
    }
  }
};

#include "nn/cpu/row_operations.inc"

}  // namespace

const CpuKernelSet& avx512_kernels() {
  static constexpr CpuKernelSet kernels{
      {&attend<Fp32Values>, 16, &rms_norm<Fp32Values>, &rotate<Fp32Values>, &swiglu<Fp32Values>},
      {&attend<Bf16Values>, 32, &rms_norm<Bf16Values>, &rotate<Bf16Values>, &swiglu<Bf16Values>}};
  return kernels;
}

}  // namespace refrag::nn

#include "nn/cpu/kernels.h"

#include <ATen/Version.h>

#include <string>

namespace refrag::nn {

#if defined(__x86_64__)

const CpuKernelSet* kernels_with_avx512() {
  static const bool has_rows = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                               __builtin_cpu_supports("fma");
  if (!has_rows) return nullptr;  // avx512_kernels itself is compiled for them
  static const CpuKernelSet kernels = [] {
    CpuKernelSet all = avx512_kernels();
    if (!__builtin_cpu_supports("avx512bf16")) all.bf16.attend = nullptr;
    return all;
  }();
  return &kernels;
}

const CpuKernelSet* kernels_with_avx2() {
  static const bool has_all = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has_all ? &avx2_kernels() : nullptr;
}

const CpuKernelSet* best_kernels() {
  static const CpuKernelSet* const best = []() -> const CpuKernelSet* {
    const std::string allowed = at::get_cpu_capability();
    const bool all = allowed == "AVX512";
    if (const CpuKernelSet* kernels = kernels_with_avx512(); kernels != nullptr && all) return kernels;
    return all || allowed == "AVX2" ? kernels_with_avx2() : nullptr;
  }();
  return best;
}

#else

const CpuKernelSet* kernels_with_avx512() { return nullptr; }
const CpuKernelSet* kernels_with_avx2() { return nullptr; }
const CpuKernelSet* best_kernels() { return nullptr; }

#endif

}  // namespace refrag::nn

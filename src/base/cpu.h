#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

namespace refrag {

struct CpuFeatures {
  bool avx2 = false;
  bool avx512f = false;
  bool avx512_bf16 = false;
  bool amx_bf16 = false;
};
CpuFeatures cpu_features();
std::string cpu_model_name();
std::size_t physical_cores();       // that this process may run on; at least 1
std::uint64_t memory_bytes();       // of the machine, or of its control group where that is less
std::uint64_t peak_memory_bytes();  // of this process so far

}  // namespace refrag

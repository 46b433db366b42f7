#include "model/model_options.h"

#include <ATen/ATen.h>

#include "base/cpu.h"
#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::size_t kMaxThreads = 1024;

// Emulated bf16 is several times slower than fp32: only where the processor has instructions for it.
bool computes_bf16(Device device) {
  const CpuFeatures cpu = cpu_features();
  return device == Device::kCuda || cpu.avx512_bf16 || cpu.amx_bf16;
}

}  // namespace

bool has_cuda() { return at::hasCUDA(); }

ModelOptions resolve(const ModelOptions& options) {
  if (options.threads > kMaxThreads) {
    throw Error(ErrorCode::kInvalidArgument,
                message("threads is ", options.threads, "; expected 0 (one a physical core) to ", kMaxThreads),
                "threads");
  }
  if (options.device == Device::kCuda && !has_cuda()) {
    throw Error(ErrorCode::kUnsupported, "device is cuda; this build's libtorch or this machine has no CUDA", "device");
  }
  ModelOptions resolved = options;
  if (options.dtype == Dtype::kAuto) {
    resolved.dtype = computes_bf16(options.device) ? Dtype::kBf16 : Dtype::kFp32;
  }
  if (options.threads == 0) {
    resolved.threads = physical_cores();
  }
  return resolved;
}

at::TensorOptions tensor_options(const ModelOptions& resolved) {
  return at::TensorOptions(resolved.dtype == Dtype::kBf16 ? at::kBFloat16 : at::kFloat)
      .device(resolved.device == Device::kCuda ? at::kCUDA : at::kCPU);
}

}  // namespace refrag

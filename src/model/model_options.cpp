#include "model/model_options.h"

#include <ATen/ATen.h>

#include "base/cpu.h"
#include "base/message.h"
#include "model/dtype_choice.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::size_t kMaxThreads = 1024;

void check_int8(const ModelOptions& options) {
  if (options.dtype != Dtype::kInt8) return;
  if (options.device == Device::kCuda) {
    throw Error(ErrorCode::kUnsupported, "dtype is int8 and device is cuda; expected device cpu with it", "dtype");
  }
  if (options.trainable) {
    throw Error(ErrorCode::kUnsupported, "dtype is int8 for training; expected fp32 or bf16", "dtype");
  }
  if (options.beside_int8 == Dtype::kInt8) {
    throw Error(ErrorCode::kInvalidArgument, "beside_int8 is int8; expected auto, fp32 or bf16", "beside_int8");
  }
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
  check_int8(options);
  ModelOptions resolved = options;
  if (options.threads == 0) {
    resolved.threads = physical_cores();
  }
  Dtype& computes = options.dtype == Dtype::kInt8 ? resolved.beside_int8 : resolved.dtype;
  if (computes == Dtype::kAuto) {
    computes = options.device == Device::kCuda ? Dtype::kBf16 : fastest_dtype(resolved.threads);
  }
  return resolved;
}

at::TensorOptions tensor_options(const ModelOptions& resolved) {
  const Dtype computes = resolved.dtype == Dtype::kInt8 ? resolved.beside_int8 : resolved.dtype;
  return at::TensorOptions(computes == Dtype::kBf16 ? at::kBFloat16 : at::kFloat)
      .device(resolved.device == Device::kCuda ? at::kCUDA : at::kCPU);
}

PartLayouts layouts_of(const ModelOptions& resolved) {
  using enum nn::WeightLayout;
  if (resolved.trainable) return {};
  return {resolved.dtype == Dtype::kInt8 ? kInt8 : kBlocked, kBlocked};
}

}  // namespace refrag

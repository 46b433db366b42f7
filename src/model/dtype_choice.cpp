#include "model/dtype_choice.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/InferenceMode.h>
#include <torch/version.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <system_error>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/files.h"
#include "base/json_reader.h"
#include "base/message.h"
#include "nn/linear.h"
#include "refrag/error.h"
#include "refrag/version.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOverride = "REFRAG_AUTO_DTYPE";
constexpr std::size_t kMaxCacheBytes = 1 << 20;
constexpr int kFormat = 1;
constexpr int kRounds = 4;  // the first also makes the kernels

// NOLINTBEGIN(concurrency-mt-unsafe): nothing of ours sets the environment
const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? nullptr : value;
}
// NOLINTEND(concurrency-mt-unsafe)

std::optional<Dtype> override_of_environment() {
  const char* word = variable(kOverride);
  if (word == nullptr) return std::nullopt;
  for (const Dtype dtype : {Dtype::kFp32, Dtype::kBf16}) {
    if (std::string(word) == name_of(dtype)) return dtype;
  }
  throw Error(ErrorCode::kInvalidArgument, message(kOverride, " is '", word, "'; expected fp32 or bf16"), kOverride);
}

/// What holds back the libraries that libtorch multiplies with.
std::string limits_of_environment() {
  std::string limits;
  for (const char* name : {"ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS"}) {
    if (const char* value = variable(name)) limits += message(", ", name, " ", value);
  }
  return limits;
}

/// A product as prefill has them.
class Product {
 public:
  explicit Product(at::ScalarType dtype) : rows_(at::full({512, 1024}, 0.01, dtype)) {
    linear_.weight = at::full({4096, 1024}, 0.01, dtype);
    linear_.lay_out(nn::WeightLayout::kBlocked);
  }
  double run_ms() const {
    const Stopwatch watch;
    linear_(rows_);
    return watch.elapsed_ms();
  }

 private:
  at::Tensor rows_;
  nn::Linear linear_;
};

Dtype measure_dtypes() {
  const c10::InferenceMode no_gradients;
  const Product fp32(at::kFloat);
  const Product bf16(at::kBFloat16);
  double best_fp32 = fp32.run_ms();
  double best_bf16 = bf16.run_ms();
  for (int round = 1; round < kRounds; ++round) {  // in turns: whatever else runs slows both
    best_fp32 = std::min(best_fp32, fp32.run_ms());
    best_bf16 = std::min(best_bf16, bf16.run_ms());
  }
  return best_bf16 < best_fp32 ? Dtype::kBf16 : Dtype::kFp32;
}

/// The choices that the file holds, by key; none where it is not one that we wrote.
Json read_choices(const fs::path& file) try {
  if (!fs::is_regular_file(file)) return Json::object();  // a pipe would make us wait
  const Json json = parse_json(read_file(file, kMaxCacheBytes), file.string());
  const bool is_ours =
      json.is_object() && json.value("format", 0) == kFormat && json.contains("fastest") && json["fastest"].is_object();
  return is_ours ? json["fastest"] : Json::object();
} catch (const std::exception&) {
  return Json::object();
}

void write_choices(const fs::path& file, const Json& choices) try {
  std::error_code ignored;
  fs::create_directories(file.parent_path(), ignored);
  fs::path own = file;
  own += message(".", ::getpid());  // two first starts at once write a file each, and the later one stays
  write_file_atomic(own, Json{{"format", kFormat}, {"fastest", choices}}.dump(1) + "\n");
  fs::rename(own, file, ignored);
  fs::remove(own, ignored);  // where it could not be renamed
} catch (const std::exception&) {
  return;  // it is measured again next time
}

}  // namespace

std::optional<fs::path> dtype_cache_file() {
  const char* cache = variable("XDG_CACHE_HOME");
  if (cache != nullptr && fs::path(cache).is_absolute()) return fs::path(cache) / "refrag" / "dtype.json";
  if (const char* home = variable("HOME")) return fs::path(home) / ".cache" / "refrag" / "dtype.json";
  return std::nullopt;
}

Dtype remembered_dtype(const std::optional<fs::path>& file, const std::string& key,
                       const std::function<Dtype()>& measure) {
  Json choices = file ? read_choices(*file) : Json::object();
  const Json known = choices.value(key, Json());
  if (known == name_of(Dtype::kFp32)) return Dtype::kFp32;
  if (known == name_of(Dtype::kBf16)) return Dtype::kBf16;
  const Dtype measured = measure();
  choices[key] = name_of(measured);
  if (file) write_choices(*file, choices);
  return measured;
}

Dtype fastest_dtype(std::size_t threads) {
  if (const auto dtype = override_of_environment()) return *dtype;
  const CpuFeatures cpu = cpu_features();
  if (!cpu.avx512_bf16 && !cpu.amx_bf16) return Dtype::kFp32;
  at::set_num_threads(static_cast<int>(threads));
  const std::string key = message(cpu_model_name(), ", ", threads, " threads, refrag ", kVersion, ", libtorch ",
                                  TORCH_VERSION, " with ", at::get_cpu_capability(), limits_of_environment());
  return remembered_dtype(dtype_cache_file(), key, measure_dtypes);
}

}  // namespace refrag

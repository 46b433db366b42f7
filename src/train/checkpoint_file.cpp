#include "train/checkpoint_file.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <map>
#include <string>

#include "base/message.h"
#include "model/safetensors.h"
#include "model/tensor_text.h"
#include "refrag/error.h"

namespace refrag::train {
namespace {

constexpr const char* kProgress = "progress";

[[noreturn]] void fail_checkpoint(const std::filesystem::path& file, const std::string& what) {
  throw Error(ErrorCode::kCorrupt, message(file.string(), ": ", what, "; it is not a checkpoint of this config"));
}

}  // namespace

void write_checkpoint(const std::filesystem::path& file, const AdamW& optimizer, const Json& progress) {
  std::map<std::string, at::Tensor> tensors = optimizer.state();
  const std::string text = progress.dump();
  const at::Tensor bytes = at::empty({static_cast<std::int64_t>(text.size())}, at::kByte);
  std::copy(text.begin(), text.end(), static_cast<char*>(bytes.mutable_data_ptr()));
  tensors[kProgress] = bytes;
  write_safetensors(file, tensors);
}

Json read_checkpoint(const std::filesystem::path& file, AdamW& optimizer) {
  const at::NoGradGuard no_gradients;
  const SafetensorsFile stored(file);
  std::map<std::string, TensorEntry> entries = stored.entries();
  const auto take = [&](const std::string& name) {
    const auto found = entries.find(name);
    if (found == entries.end()) fail_checkpoint(file, message("there is no tensor \"", name, "\""));
    at::Tensor tensor = stored.tensor(found->second);
    entries.erase(found);
    return tensor;
  };
  const at::Tensor bytes = take(kProgress);
  const std::string_view text(static_cast<const char*>(bytes.const_data_ptr()), bytes.nbytes());
  const std::map<std::string, at::Tensor> state = optimizer.state();
  std::map<std::string, at::Tensor> read;
  for (const auto& [name, place] : state) {
    const at::Tensor tensor = take(name);
    if (tensor.sizes() != place.sizes() || tensor.scalar_type() != place.scalar_type()) {
      fail_checkpoint(file, message("tensor \"", name, "\" has shape ", shape_text(tensor.sizes()), "; expected ",
                                    shape_text(place.sizes())));
    }
    read.emplace(name, tensor);
  }
  if (!entries.empty()) fail_checkpoint(file, message("tensor \"", entries.begin()->first, "\" has no place"));
  for (const auto& [name, place] : state) at::Tensor(place).copy_(read.at(name));
  return parse_json(text, file.string() + ": progress");
}

}  // namespace refrag::train

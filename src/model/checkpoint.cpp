#include "model/checkpoint.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <set>

#include "base/json_reader.h"
#include "base/message.h"
#include "model/tensor_text.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

/// tensor name -> shard file name, as the index says. Shards lie beside the index and nowhere else.
std::map<std::string, std::string> read_weight_map(const std::filesystem::path& index) {
  const Json json = parse_json_file(index);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    throw Error(ErrorCode::kCorrupt, message(index.string(), ": weight_map is missing or is not an object"));
  }
  std::map<std::string, std::string> weight_map;
  for (const auto& [tensor, shard] : json["weight_map"].items()) {
    const bool plain =
        shard.is_string() && shard.get_ref<const std::string&>().ends_with(".safetensors") &&
        shard.get_ref<const std::string&>().find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    if (!plain) {
      throw Error(ErrorCode::kCorrupt,
                  message(index.string(), ": weight_map puts tensor \"", tensor, "\" into ", shard.dump(),
                          "; expected the name of a .safetensors file in the same directory"));
    }
    weight_map.emplace(tensor, shard.get<std::string>());
  }
  if (weight_map.empty()) throw Error(ErrorCode::kCorrupt, message(index.string(), ": weight_map is empty"));
  return weight_map;
}

[[noreturn]] void fail_without_weights(const std::filesystem::path& directory) {
  for (const char* other : {"pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth"}) {
    if (std::filesystem::exists(directory / other)) {
      throw Error(ErrorCode::kUnsupported,
                  message(directory.string(), ": weights are in ", other, "; expected safetensors"));
    }
  }
  throw Error(ErrorCode::kNotFound, message(directory.string(), ": no ", kSingleFile, " and no ", kIndexFile));
}

}  // namespace

Checkpoint Checkpoint::open(const std::filesystem::path& directory_or_file) {
  Checkpoint checkpoint(directory_or_file);
  if (!std::filesystem::is_directory(directory_or_file)) {
    checkpoint.add_file(directory_or_file);
  } else if (std::filesystem::exists(directory_or_file / kSingleFile)) {  // as transformers: before an index
    checkpoint.add_file(directory_or_file / kSingleFile);
  } else if (std::filesystem::exists(directory_or_file / kIndexFile)) {
    const auto weight_map = read_weight_map(directory_or_file / kIndexFile);
    std::set<std::string> shards;
    for (const auto& [tensor, shard] : weight_map) shards.insert(shard);
    for (const std::string& shard : shards) checkpoint.add_file(directory_or_file / shard);
    for (const auto& [tensor, shard] : weight_map) {
      if (!checkpoint.has(tensor) || checkpoint.file_of(tensor) != (directory_or_file / shard).string()) {
        throw Error(ErrorCode::kCorrupt, message((directory_or_file / shard).string(), ": no tensor \"", tensor, "\"; ",
                                                 kIndexFile, " puts it there"));
      }
    }
  } else {
    fail_without_weights(directory_or_file);
  }
  return checkpoint;
}

Checkpoint Checkpoint::of_tensors(std::map<std::string, at::Tensor> tensors, const std::string& source) {
  Checkpoint checkpoint(source);
  for (auto& [name, tensor] : tensors) {
    TensorEntry entry{tensor.scalar_type(), tensor.sizes().vec(), 0, tensor.nbytes()};
    checkpoint.places_.emplace(name, Place{0, std::move(entry), std::move(tensor)});
  }
  return checkpoint;
}

void Checkpoint::add_file(const std::filesystem::path& path) {
  files_.emplace_back(path);
  for (const auto& [name, entry] : files_.back().entries()) {
    const auto [there, added] = places_.emplace(name, Place{files_.size() - 1, entry, {}});
    if (!added) {
      throw Error(ErrorCode::kCorrupt, message(path.string(), ": tensor \"", name, "\" is also in ",
                                               files_[there->second.file].path().string()));
    }
  }
}

const Checkpoint::Place& Checkpoint::place(const std::string& name) const {
  const auto found = places_.find(name);
  if (found == places_.end()) throw Error(ErrorCode::kCorrupt, message(source_.string(), ": no tensor \"", name, "\""));
  return found->second;
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> names;
  names.reserve(places_.size());
  for (const auto& [name, place] : places_) names.push_back(name);
  return names;
}

const TensorEntry& Checkpoint::entry(const std::string& name) const { return place(name).entry; }

at::Tensor Checkpoint::tensor_at(const Place& place) const {
  return place.tensor.defined() ? place.tensor : files_[place.file].tensor(place.entry);
}

at::Tensor Checkpoint::tensor(const std::string& name) const { return tensor_at(place(name)); }

at::Tensor Checkpoint::tensor(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const Place& found = place(name);
  if (found.entry.shape != shape) {
    throw Error(ErrorCode::kCorrupt, message(file_of(name), ": tensor \"", name, "\" has shape ",
                                             shape_text(found.entry.shape), "; expected ", shape_text(shape)));
  }
  return tensor_at(found);
}

at::Tensor Checkpoint::weight(const std::string& name, const std::vector<std::int64_t>& shape) const {
  const at::Tensor found = tensor(name, shape);
  if (!found.is_floating_point()) {
    throw Error(ErrorCode::kUnsupported, message(file_of(name), ": tensor \"", name, "\" has dtype ",
                                                 name_of_dtype(found.scalar_type()), "; expected F32, F16 or BF16"));
  }
  return found;
}

std::size_t Checkpoint::bytes() const {
  std::size_t sum = 0;
  for (const auto& [name, place] : places_) sum += place.entry.bytes();
  return sum;
}

std::size_t Checkpoint::parameters() const {
  std::size_t sum = 0;
  for (const auto& [name, place] : places_) {
    if (at::isFloatingType(place.entry.dtype)) sum += place.entry.bytes() / c10::elementSize(place.entry.dtype);
  }
  return sum;
}

std::string Checkpoint::dtype_name() const {
  std::map<at::ScalarType, std::size_t> bytes_of_dtype;
  for (const auto& [name, place] : places_) bytes_of_dtype[place.entry.dtype] += place.entry.bytes();
  if (bytes_of_dtype.empty()) return "";
  return name_of_dtype(std::max_element(bytes_of_dtype.begin(), bytes_of_dtype.end(), [](const auto& a, const auto& b) {
                         return a.second < b.second;
                       })->first);
}

std::string Checkpoint::file_of(const std::string& name) const {
  const Place& found = place(name);
  return found.tensor.defined() ? source_.string() : files_[found.file].path().string();
}

}  // namespace refrag

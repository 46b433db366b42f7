#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "model/safetensors.h"

namespace refrag {

/// The tensors of a model by name, from one safetensors file or from the shards that an index lists.
class Checkpoint {
 public:
  /// A .safetensors file, or a directory with model.safetensors or model.safetensors.index.json.
  /// Throws kNotFound, kUnsupported (weights in another format), or kCorrupt with the file and tensor at fault.
  static Checkpoint open(const std::filesystem::path& directory_or_file);
  /// Tensors that no file holds, by name; `source` stands for the file in messages.
  static Checkpoint of_tensors(std::map<std::string, at::Tensor> tensors, const std::string& source);

  bool has(const std::string& name) const { return places_.contains(name); }
  std::vector<std::string> names() const;                   // in bytewise order
  const TensorEntry& entry(const std::string& name) const;  // as stored; throws as tensor() does
  /// As stored, over the mapped file, read-only: convert or copy before writing. Throws kCorrupt, naming the file and
  /// the tensor, where there is none of that name or its shape is not `shape`.
  at::Tensor tensor(const std::string& name, const std::vector<std::int64_t>& shape) const;
  at::Tensor tensor(const std::string& name) const;
  /// As tensor(), for what a model multiplies by. Throws kUnsupported for integers: those of a quantized checkpoint
  /// mean nothing without their scales.
  at::Tensor weight(const std::string& name, const std::vector<std::int64_t>& shape) const;

  std::size_t bytes() const;       // of all tensors
  std::size_t parameters() const;  // elements of all tensors with a floating-point dtype
  std::string dtype_name() const;  // of most of the bytes, as safetensors spells it: "BF16"
  std::string file_of(const std::string& name) const;

 private:
  struct Place {
    std::size_t file = 0;  // in files_; of no meaning where `tensor` is
    TensorEntry entry;
    at::Tensor tensor;  // what no file holds
  };
  explicit Checkpoint(std::filesystem::path source) : source_(std::move(source)) {}
  void add_file(const std::filesystem::path& path);
  const Place& place(const std::string& name) const;
  at::Tensor tensor_at(const Place& place) const;

  std::filesystem::path source_;  // what was opened, for messages
  std::vector<SafetensorsFile> files_;
  std::map<std::string, Place> places_;
};

}  // namespace refrag

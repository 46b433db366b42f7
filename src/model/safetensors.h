#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace refrag {

/// Where a tensor lies in a safetensors file, and what it is.
struct TensorEntry {
  at::ScalarType dtype = at::kFloat;
  std::vector<std::int64_t> shape;
  std::size_t begin = 0;  // bytes of the file
  std::size_t end = 0;
  std::size_t bytes() const { return end - begin; }
};

/// Reads the header of a whole safetensors file, trusting nothing in it. The format (huggingface/safetensors):
/// 8 bytes header length, little endian; a JSON object name -> {dtype, shape, data_offsets}; the data, without gaps.
/// Throws kCorrupt, or kUnsupported for a dtype that we do not read; messages begin with `file` and name the tensor.
std::map<std::string, TensorEntry> parse_safetensors(std::string_view content, const std::string& file);

/// One safetensors file, memory-mapped and checked as a whole when opened.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path);
  const std::filesystem::path& path() const { return mapping_.path(); }
  const std::map<std::string, TensorEntry>& entries() const { return entries_; }
  /// A read-only tensor over the mapping, which it keeps alive: copy it before writing to it.
  at::Tensor tensor(const TensorEntry& entry) const;

 private:
  MappedFile mapping_;
  std::map<std::string, TensorEntry> entries_;
};

/// Writes tensors as one file that Hugging Face reads too. Atomic: after a crash there is the old file or the new one.
void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors);

}  // namespace refrag

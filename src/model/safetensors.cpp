#include "model/safetensors.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "base/json_reader.h"
#include "base/message.h"
#include "base/utf8.h"
#include "model/tensor_text.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr std::size_t kMaxDimensions = 16;
constexpr std::size_t kMaxQuotedName = 200;

[[noreturn]] void fail(const std::string& file, const std::string& what) {
  throw Error(ErrorCode::kCorrupt, message(file, ": ", what));
}

/// Names are the file's own and may be of any length: cut behind a whole character, as messages end up in JSON.
std::string quotable(const std::string& name) {
  const std::string head = name.substr(0, kMaxQuotedName);
  return head.substr(0, head.size() - incomplete_tail(head));
}

[[noreturn]] void fail(const std::string& file, const std::string& tensor, const std::string& what) {
  fail(file, message("tensor \"", quotable(tensor), "\" ", what));
}

std::uint64_t read_little_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < kLengthBytes; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

Json parse_header(std::string_view header, const std::string& file) {
  try {
    return parse_json(header, file + ": the header");  // refuses names that occur twice
  } catch (const Error& error) {
    throw Error(ErrorCode::kCorrupt, error.what());
  }
}

void check_metadata(const Json& metadata, const std::string& file) {
  const bool is_map_of_texts = metadata.is_object() && std::all_of(metadata.begin(), metadata.end(),
                                                                   [](const Json& v) { return v.is_string(); });
  if (!is_map_of_texts) fail(file, "__metadata__ is not an object of strings");
}

/// A list of non-negative integers, each within int64.
std::optional<std::vector<std::int64_t>> as_sizes(const Json& value) {
  if (!value.is_array()) return std::nullopt;
  std::vector<std::int64_t> sizes;
  for (const Json& item : value) {
    if (!item.is_number_unsigned()) return std::nullopt;
    const auto size = item.get<std::uint64_t>();
    if (size > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    sizes.push_back(static_cast<std::int64_t>(size));
  }
  return sizes;
}

/// Bytes of a tensor; empty where sizes or strides would not fit in int64. A size of 0 makes the product 0, but the
/// other sizes still make strides.
std::optional<std::int64_t> bytes_of(const std::vector<std::int64_t>& shape, at::ScalarType dtype) {
  auto product = static_cast<std::int64_t>(c10::elementSize(dtype));
  bool empty = false;
  for (const std::int64_t size : shape) {
    empty = empty || size == 0;
    if (size != 0 && __builtin_mul_overflow(product, size, &product)) return std::nullopt;
  }
  return empty ? 0 : product;
}

/// `data` is where the data begins in a file of `file_bytes`.
TensorEntry read_entry(const std::string& name, const Json& value, std::size_t data, std::size_t file_bytes,
                       const std::string& file) {
  if (!value.is_object()) fail(file, name, "is not described by an object");
  for (const auto& [key, unused] : value.items()) {
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      fail(file, name, message("has \"", key, "\"; expected dtype, shape and data_offsets"));
    }
  }
  if (value.size() != 3) fail(file, name, "lacks one of dtype, shape and data_offsets");

  TensorEntry entry;
  if (!value["dtype"].is_string()) fail(file, name, "has a dtype that is not a string");
  const auto dtype_name = value["dtype"].get<std::string>();
  const std::optional<at::ScalarType> dtype = dtype_of(dtype_name);
  if (!dtype) {
    throw Error(ErrorCode::kUnsupported, message(file, ": tensor \"", quotable(name), "\" has dtype ",
                                                 quotable(dtype_name), "; expected one of ", known_dtype_names()));
  }
  entry.dtype = *dtype;

  const auto shape = as_sizes(value["shape"]);
  if (!shape) fail(file, name, "has a shape that is not a list of non-negative integers");
  if (shape->size() > kMaxDimensions)
    fail(file, name, message("has ", shape->size(), " dimensions; at most ", kMaxDimensions));
  entry.shape = *shape;

  const auto offsets = as_sizes(value["data_offsets"]);
  if (!offsets || offsets->size() != 2) fail(file, name, "has data_offsets that are not two non-negative integers");
  const auto begin = static_cast<std::uint64_t>((*offsets)[0]);
  const auto end = static_cast<std::uint64_t>((*offsets)[1]);
  if (begin > end || end > file_bytes - data) {
    fail(file, name,
         message("has data_offsets [", begin, ", ", end, "]; the file holds ", file_bytes - data, " bytes of data"));
  }
  const std::optional<std::int64_t> expected = bytes_of(entry.shape, entry.dtype);
  if (!expected || static_cast<std::uint64_t>(*expected) != end - begin) {
    fail(
        file, name,
        message("of shape ", shape_text(entry.shape), " and dtype ", dtype_name, " has ", end - begin, " bytes of data",
                expected ? message("; expected ", *expected) : "; its size does not fit in 64 bits"));
  }
  entry.begin = data + begin;
  entry.end = data + end;
  return entry;
}

/// As the format demands: tensors cover the data from its first byte to its last, side by side.
void check_layout(const std::map<std::string, TensorEntry>& entries, std::size_t data, std::size_t file_bytes,
                  const std::string& file) {
  std::vector<std::pair<const std::string*, const TensorEntry*>> in_order;
  for (const auto& [name, entry] : entries) in_order.emplace_back(&name, &entry);
  std::sort(in_order.begin(), in_order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second->begin, a.second->end) < std::pair(b.second->begin, b.second->end);
  });
  std::size_t covered = data;
  for (const auto& [name, entry] : in_order) {
    if (entry->begin != covered) {
      fail(file, *name,
           message(entry->begin < covered ? "overlaps the tensor before it" : "leaves a gap after the tensor before it",
                   ": it begins at byte ", entry->begin - data, " of the data; expected ", covered - data));
    }
    covered = entry->end;
  }
  if (covered != file_bytes)
    fail(file, message("has ", file_bytes - covered, " bytes after the last tensor; expected none"));
}

/// Largest elements first, so that every tensor is aligned to its own element size.
std::vector<std::pair<std::string, at::Tensor>> in_file_order(const std::map<std::string, at::Tensor>& tensors) {
  std::vector<std::pair<std::string, at::Tensor>> ordered(tensors.begin(), tensors.end());
  std::stable_sort(ordered.begin(), ordered.end(),
                   [](const auto& a, const auto& b) { return a.second.element_size() > b.second.element_size(); });
  return ordered;
}

std::string header_for(const std::vector<std::pair<std::string, at::Tensor>>& tensors) {
  Json header = {{"__metadata__", {{"format", "pt"}}}};  // transformers refuses files that do not say so
  std::size_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    header[name] = {{"dtype", name_of_dtype(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {offset, offset + tensor.nbytes()}}};
    offset += tensor.nbytes();
  }
  std::string text = header.dump();
  text.append((kLengthBytes - text.size() % kLengthBytes) % kLengthBytes, ' ');  // so that the data is aligned
  std::string length(kLengthBytes, '\0');
  for (std::size_t i = 0; i < kLengthBytes; ++i) length[i] = static_cast<char>((text.size() >> (8 * i)) & 0xff);
  return length + text;
}

}  // namespace

std::map<std::string, TensorEntry> parse_safetensors(std::string_view content, const std::string& file) {
  if (content.size() < kLengthBytes) {
    fail(file, message("has ", content.size(), " bytes; a safetensors file begins with 8 bytes of header length"));
  }
  const std::uint64_t header_bytes = read_little_endian(content);
  if (header_bytes > kMaxHeaderBytes || header_bytes > content.size() - kLengthBytes) {
    fail(file,
         message("has a header length of ", header_bytes, " in a file of ", content.size(), " bytes; expected at most ",
                 std::min<std::uint64_t>(kMaxHeaderBytes, content.size() - kLengthBytes)));
  }
  const std::size_t data = kLengthBytes + static_cast<std::size_t>(header_bytes);
  const Json header = parse_header(content.substr(kLengthBytes, data - kLengthBytes), file);
  if (!header.is_object()) fail(file, "the header is not a JSON object");
  std::map<std::string, TensorEntry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__") {
      check_metadata(value, file);
    } else {
      entries.emplace(name, read_entry(name, value, data, content.size(), file));
    }
  }
  check_layout(entries, data, content.size(), file);
  return entries;
}

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path)
    : mapping_(path), entries_(parse_safetensors(mapping_.text(), path.string())) {}

at::Tensor SafetensorsFile::tensor(const TensorEntry& entry) const {
  const auto options = at::TensorOptions().dtype(entry.dtype);
  if (entry.bytes() == 0) return at::empty(entry.shape, options);
  const std::byte* data = mapping_.bytes().data() + entry.begin;
  if (reinterpret_cast<std::uintptr_t>(data) % c10::elementSize(entry.dtype) != 0) {
    at::Tensor copy = at::empty(entry.shape, options);  // the format does not promise alignment; the kernels need it
    std::memcpy(copy.data_ptr(), data, entry.bytes());
    return copy;
  }
  // from_blob wants a pointer to non-const; the pages are mapped read-only, so a write would stop the process.
  return at::from_blob(
      const_cast<std::byte*>(data), entry.shape, [keep = mapping_](void*) {}, options);
}

void write_safetensors(const std::filesystem::path& path, const std::map<std::string, at::Tensor>& tensors) {
  const auto ordered = in_file_order(tensors);
  std::string content = header_for(ordered);
  for (const auto& [name, tensor] : ordered) {
    const at::Tensor plain = tensor.detach().to(at::kCPU).contiguous();
    content.append(static_cast<const char*>(plain.const_data_ptr()), plain.nbytes());
  }
  write_file_atomic(path, content);
}

}  // namespace refrag

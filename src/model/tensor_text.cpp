#include "model/tensor_text.h"

#include <array>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::array<std::pair<std::string_view, at::ScalarType>, 10> kDtypes = {{
    {"F32", at::kFloat},
    {"F16", at::kHalf},
    {"BF16", at::kBFloat16},
    {"F64", at::kDouble},
    {"I64", at::kLong},
    {"I32", at::kInt},
    {"I16", at::kShort},
    {"I8", at::kChar},
    {"U8", at::kByte},
    {"BOOL", at::kBool},
}};

}  // namespace

std::string shape_text(at::IntArrayRef shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

std::optional<at::ScalarType> dtype_of(std::string_view safetensors_name) {
  for (const auto& [name, dtype] : kDtypes) {
    if (name == safetensors_name) return dtype;
  }
  return std::nullopt;
}

std::string name_of_dtype(at::ScalarType dtype) {
  for (const auto& [name, known] : kDtypes) {
    if (known == dtype) return std::string(name);
  }
  throw Error(ErrorCode::kUnsupported, message("dtype ", c10::toString(dtype),
                                               " has no safetensors name; expected one of ", known_dtype_names()));
}

std::string known_dtype_names() {
  std::string names;
  for (const auto& [name, dtype] : kDtypes) names += (names.empty() ? "" : ", ") + std::string(name);
  return names;
}

}  // namespace refrag

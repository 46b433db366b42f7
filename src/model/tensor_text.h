#pragma once
#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <string_view>

namespace refrag {

/// Shapes and dtypes as messages and safetensors files spell them.
std::string shape_text(at::IntArrayRef shape);  // "[2, 3]"
std::optional<at::ScalarType> dtype_of(std::string_view safetensors_name);
std::string name_of_dtype(at::ScalarType dtype);  // "BF16"; throws kUnsupported for what safetensors cannot hold
std::string known_dtype_names();

}  // namespace refrag

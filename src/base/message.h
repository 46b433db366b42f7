#pragma once
#include <sstream>
#include <string>

namespace refrag {

/// message("top_k is ", 900, "; expected 0 to 256"). No fmt here: libtorch's headers carry a newer one than spdlog
/// wants.
template <typename... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

}  // namespace refrag

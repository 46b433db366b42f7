#pragma once

namespace refrag {

inline constexpr const char* kVersion = "0.1.0";  // CMakeLists.txt reads it from here

}  // namespace refrag

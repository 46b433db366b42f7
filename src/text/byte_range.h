#pragma once
#include <cstdint>

namespace refrag {

/// Bytes [begin, end) of the text that was given.
struct ByteRange {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  bool operator==(const ByteRange&) const = default;
};

}  // namespace refrag

#pragma once
#include <cstdint>

namespace refrag {

using TokenId = std::int32_t;

}  // namespace refrag

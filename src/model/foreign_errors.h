#pragma once
#include <exception>

#include "refrag/error.h"

namespace refrag {

/// What was caught, as one of ours: an Error as it is; else what libtorch, the file system or the allocator said, since
/// a ModelBundle throws nothing but refrag::Error.
Error as_error(const std::exception& caught);

}  // namespace refrag

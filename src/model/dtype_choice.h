#pragma once
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "refrag/model_bundle.h"

namespace refrag {

/// fp32 or bf16, whichever multiplies matrices faster on this processor with so many threads. Without instructions for
/// bf16 that is fp32, unmeasured: libtorch emulates it, several times slower. Else it is measured once, in some tenths
/// of a second, and kept in dtype_cache_file(). REFRAG_AUTO_DTYPE=fp32 or bf16 decides without measuring. Sets the
/// process's threads.
Dtype fastest_dtype(std::size_t threads);

/// $XDG_CACHE_HOME/refrag/dtype.json, or the same under ~/.cache where that is no absolute path; none where neither
/// variable is set.
std::optional<std::filesystem::path> dtype_cache_file();

/// What `file` holds for `key`, or else what `measure` says, which is noted there. A file that is broken, of another
/// version or cannot be read or written counts as none.
Dtype remembered_dtype(const std::optional<std::filesystem::path>& file, const std::string& key,
                       const std::function<Dtype()>& measure);

}  // namespace refrag

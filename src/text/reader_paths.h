#pragma once
#include "text/reader.h"

namespace refrag {

// What reader.h says of paths, for a program that may be interrupted while it reads them.

/// Asked between reads, and 20 times a second while a pipe or a terminal has nothing to read. True ends the call early.
using GivesUp = std::function<bool()>;

/// Throws kNotFound for the first path that does not exist.
void require_existing(const std::vector<std::filesystem::path>& paths);

/// As in reader.h. `gives_up` is asked while lines are read; what is no JSONL is in the hands of `take`.
void read_paths(const std::vector<std::filesystem::path>& paths, const ReaderLimits& limits,
                const std::function<bool(ReadResult&&)>& take, const GivesUp& gives_up);

/// As in reader.h. 0 too where a path is a named pipe or a device, whose content can be read only once, and where it
/// gave up.
std::size_t count_documents(const std::vector<std::filesystem::path>& paths, const GivesUp& gives_up);

}  // namespace refrag

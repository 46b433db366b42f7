#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>

namespace refrag::bench {

/// Gives memory that is free, but kept by the allocator, back to the system and counts this process's peak anew. False
/// where the system cannot: then the peak is that of the whole run.
bool reset_peak_memory();
/// Most memory since the last reset, the programs' and libraries' own included; empty where the system does not tell.
std::optional<std::uint64_t> peak_memory_since_reset();

/// Asks the system to forget what it keeps of the directory's files in memory, so that reading them next is reading
/// from disk. Files that are mapped or not yet written back stay.
void forget_cached_files(const std::filesystem::path& directory);

}  // namespace refrag::bench

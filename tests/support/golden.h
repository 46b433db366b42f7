#pragma once
#include <cstdlib>
#include <filesystem>

#include "base/json_reader.h"

namespace refrag::testing {

/// Where the golden fixtures are: REFRAG_GOLDEN_DIR, so that more cases of the same formats can be dropped in, or
/// tests/golden.
inline bool is_golden_directory_named() {
  const char* directory = std::getenv("REFRAG_GOLDEN_DIR");
  return directory != nullptr && *directory != '\0';
}
inline std::filesystem::path golden_directory() {
  return is_golden_directory_named() ? std::filesystem::path(std::getenv("REFRAG_GOLDEN_DIR"))
                                     : std::filesystem::path(REFRAG_SOURCE_DIR) / "tests" / "golden";
}

/// A small trained bundle with all parts, whatever REFRAG_GOLDEN_DIR says.
inline std::filesystem::path trained_bundle() {
  return std::filesystem::path(REFRAG_SOURCE_DIR) / "tests" / "golden" / "bundles" / "refrag-tiny";
}

/// Whether cases of a kind ("decoders") are to be run. A directory that was named may hold other kinds alone; ours
/// holds all, and a test must fail where they went missing.
inline bool has_golden(const std::filesystem::path& kind) {
  return !is_golden_directory_named() || std::filesystem::exists(golden_directory() / kind);
}

inline Json read_golden_json(const std::filesystem::path& path) { return parse_json_file(path); }

}  // namespace refrag::testing

#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <utility>

namespace refrag {

/// A record lock on some bytes of the file `readers`, one byte a generation: across processes and within one, freed
/// when it is destroyed or its process ends. Readers share the byte of their generation; who purges rows owns all
/// bytes before a horizon, which shows that no reader needs what died until then.
class ReaderLease {
 public:
  /// Empty while someone purges rows that `generation` may need: read the newest generation then.
  static std::optional<ReaderLease> share(const std::filesystem::path& path, std::int64_t generation);
  /// Owns the bytes before the greatest horizon up to `generation` that no reader stands before.
  static ReaderLease own_before(const std::filesystem::path& path, std::int64_t generation);

  ReaderLease(ReaderLease&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), generation_(other.generation_) {}
  ReaderLease& operator=(ReaderLease&&) = delete;
  ~ReaderLease();

  /// The generation shared, or the horizon.
  std::int64_t generation() const { return generation_; }

 private:
  ReaderLease(int descriptor, std::int64_t generation) : descriptor_(descriptor), generation_(generation) {}
  int descriptor_;  // a description of its own: Linux keeps open-file-description locks by it
  std::int64_t generation_;
};

}  // namespace refrag

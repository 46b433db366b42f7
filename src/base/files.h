#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace refrag {

/// Whole files. All throw kNotFound or kIo with the path and the operating system's reason.
std::string read_file(const std::filesystem::path& path);
std::string read_file(const std::filesystem::path& path, std::uint64_t max_bytes);  // kInvalidArgument when larger
/// Written to PATH.tmp, fsynced, renamed, directory fsynced: after a crash there is the old file or the new one.
void write_file_atomic(const std::filesystem::path& path, std::string_view content);
void sync_file(const std::filesystem::path& path);
void sync_directory(const std::filesystem::path& directory);

/// A file mapped read-only. The mapping lives as long as any copy of the handle.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  std::span<const std::byte> bytes() const;
  std::string_view text() const;
  const std::filesystem::path& path() const;

 private:
  struct Mapping;
  std::shared_ptr<const Mapping> mapping_;
};

/// An exclusive lock on a file, across processes and across handles in one process; freed on destruction or at the
/// process's end.
class FileLock {
 public:
  static std::optional<FileLock> try_acquire(const std::filesystem::path& path);  // empty when another holds it
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_ = -1;
};

/// A fresh directory under the system's temporary directory, removed with all it holds on destruction.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace refrag

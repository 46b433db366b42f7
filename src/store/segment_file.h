#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "base/files.h"

namespace refrag {

/// What meta.db knows of a segment file: its length and a SHA-256 of each block of 1 MiB. Blocks, so that the first
/// look at one row of a file of many GiB hashes 1 MiB and not the file.
struct FileRecord {
  static constexpr std::size_t kBlockBytes = std::size_t{1} << 20;
  static constexpr std::size_t kHashDigits = 64;

  std::uint64_t bytes = 0;  // 0: there is no file
  std::string hashes;       // kHashDigits a block, one after another

  std::size_t blocks() const { return (bytes + kBlockBytes - 1) / kBlockBytes; }
};

/// A segment file on its way to disk: PATH.tmp, which is removed again unless it was finished and renamed.
class SegmentFileWriter {
 public:
  explicit SegmentFileWriter(std::filesystem::path path);
  SegmentFileWriter(const SegmentFileWriter&) = delete;
  SegmentFileWriter& operator=(const SegmentFileWriter&) = delete;
  ~SegmentFileWriter();

  void append(const void* data, std::size_t size);
  FileRecord finish();           // written and fsynced, still under its temporary name
  void rename_to_final();        // after finish()
  void keep() { kept_ = true; }  // from here on the file is not removed again

 private:
  void write_block();

  std::filesystem::path path_;
  std::filesystem::path current_path_;
  int descriptor_;
  std::string block_;
  FileRecord record_;
  bool kept_ = false;
};

/// A finished segment file, mapped. Opening checks its length only; its bytes are checked block by block, the first
/// time each is looked at. The mapping stays readable after a merge has removed the file. Thread-safe.
class SegmentFile {
 public:
  /// Throws kNotFound when missing, kCorrupt when of another length.
  SegmentFile(const std::filesystem::path& path, FileRecord record);

  /// Throws kCorrupt when outside the file or when a checksum differs.
  std::span<const std::byte> bytes(std::uint64_t offset, std::uint64_t size) const;
  std::span<const std::byte> all() const { return bytes(0, record_.bytes); }
  std::uint64_t size() const { return record_.bytes; }
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  void verify(std::size_t block) const;

  MappedFile file_;
  FileRecord record_;
  std::unique_ptr<std::atomic<bool>[]> verified_;  // one a block
};

}  // namespace refrag

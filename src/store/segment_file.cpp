#include "store/segment_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "base/hash.h"
#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_with_errno(const fs::path& path, const char* attempt) {
  const int reason = errno;
  const ErrorCode code = reason == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo;
  throw Error(code, message("cannot ", attempt, " ", path.string(), ": ", std::generic_category().message(reason)));
}

int create_file(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    fail_with_errno(path, "create");
  }
  return descriptor;
}

fs::path temporary(fs::path path) { return path += ".tmp"; }

}  // namespace

SegmentFileWriter::SegmentFileWriter(fs::path path)
    : path_(std::move(path)), current_path_(temporary(path_)), descriptor_(create_file(current_path_)) {
  block_.reserve(FileRecord::kBlockBytes);
}

SegmentFileWriter::~SegmentFileWriter() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
  if (!kept_) {
    ::unlink(current_path_.c_str());
  }
}

void SegmentFileWriter::append(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const char*>(data);
  while (size > 0) {
    const std::size_t taken = std::min(size, FileRecord::kBlockBytes - block_.size());
    block_.append(bytes, taken);
    bytes += taken;
    size -= taken;
    if (block_.size() == FileRecord::kBlockBytes) {
      write_block();
    }
  }
}

void SegmentFileWriter::write_block() {
  std::string_view rest = block_;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno != EINTR) {
      fail_with_errno(current_path_, "write");
    }
    rest.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
  record_.hashes += sha256_hex(block_);
  record_.bytes += block_.size();
  block_.clear();
}

FileRecord SegmentFileWriter::finish() {
  if (!block_.empty()) {
    write_block();
  }
  if (::fsync(descriptor_) != 0) {
    fail_with_errno(current_path_, "flush");
  }
  ::close(std::exchange(descriptor_, -1));
  return record_;
}

void SegmentFileWriter::rename_to_final() {
  if (::rename(current_path_.c_str(), path_.c_str()) != 0) {
    fail_with_errno(current_path_, "rename");
  }
  current_path_ = path_;
}

SegmentFile::SegmentFile(const fs::path& path, FileRecord record) : file_(path), record_(std::move(record)) {
  if (file_.bytes().size() != record_.bytes) {
    throw Error(ErrorCode::kCorrupt,
                message(path.string(), " has ", file_.bytes().size(), " bytes; meta.db expects ", record_.bytes));
  }
  if (record_.hashes.size() != record_.blocks() * FileRecord::kHashDigits) {
    throw Error(ErrorCode::kCorrupt,
                message("meta.db: the checksums of ", path.filename().string(), " have ", record_.hashes.size(),
                        " digits; expected ", record_.blocks() * FileRecord::kHashDigits));
  }
  verified_ = std::make_unique<std::atomic<bool>[]>(record_.blocks());
}

std::span<const std::byte> SegmentFile::bytes(std::uint64_t offset, std::uint64_t size) const {
  if (offset > record_.bytes || size > record_.bytes - offset) {
    throw Error(ErrorCode::kCorrupt, message(path().string(), " has ", record_.bytes, " bytes; expected ", size,
                                             " of them from byte ", offset));
  }
  if (size > 0) {
    const std::size_t last = (offset + size - 1) / FileRecord::kBlockBytes;
    for (std::size_t block = offset / FileRecord::kBlockBytes; block <= last; ++block) {
      verify(block);
    }
  }
  return file_.bytes().subspan(offset, size);
}

void SegmentFile::verify(std::size_t block) const {
  if (verified_[block].load(std::memory_order_acquire)) {
    return;
  }
  const std::size_t start = block * FileRecord::kBlockBytes;
  const std::string_view content = file_.text().substr(start, FileRecord::kBlockBytes);
  const std::string_view expected =
      std::string_view(record_.hashes).substr(block * FileRecord::kHashDigits, FileRecord::kHashDigits);
  if (sha256_hex(content) != expected) {
    throw Error(ErrorCode::kCorrupt, message(path().string(), " is damaged between bytes ", start, " and ",
                                             start + content.size(), ": its SHA-256 is not the one in meta.db"));
  }
  verified_[block].store(true, std::memory_order_release);
}

}  // namespace refrag

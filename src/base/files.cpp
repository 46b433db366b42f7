#include "base/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <system_error>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail(const fs::path& path, const char* attempt) {
  const int reason = errno;
  const ErrorCode code = reason == ENOENT || reason == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo;
  throw Error(code, message("cannot ", attempt, " ", path.string(), ": ", std::generic_category().message(reason)));
}

/// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor(const fs::path& path, int flags, mode_t mode = 0644)
      : value_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {
    if (value_ < 0) {
      fail(path, (flags & O_CREAT) != 0 ? "create" : "open");
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) {
      ::close(value_);
    }
  }
  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

struct stat status_of(const Descriptor& file, const fs::path& path) {
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    fail(path, "look at");
  }
  return status;
}

void write_all(const Descriptor& file, std::string_view content, const fs::path& path) {
  while (!content.empty()) {
    const ssize_t written = ::write(file.get(), content.data(), content.size());
    if (written < 0 && errno != EINTR) {
      fail(path, "write");
    }
    content.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
}

void flush(const Descriptor& file, const fs::path& path) {
  if (::fsync(file.get()) != 0) {
    fail(path, "flush");
  }
}

}  // namespace

std::string read_file(const fs::path& path) { return read_file(path, std::numeric_limits<std::uint64_t>::max()); }

std::string read_file(const fs::path& path, std::uint64_t max_bytes) {
  const Descriptor file(path, O_RDONLY);
  // What the system says of the size is a hint: files under /proc say 0, and a file may grow while it is read.
  const auto expected = static_cast<std::uint64_t>(std::max<off_t>(status_of(file, path).st_size, 0));
  const auto refuse_larger = [&](std::uint64_t size) {
    if (size > max_bytes) {
      throw Error(ErrorCode::kInvalidArgument,
                  message(path.string(), " has more than ", max_bytes, " bytes; that is the limit"));
    }
  };
  refuse_larger(expected);
  std::string content(expected + 1, '\0');
  std::size_t size = 0;
  while (true) {
    const ssize_t got = ::read(file.get(), content.data() + size, content.size() - size);
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      fail(path, "read");
    }
    size += static_cast<std::size_t>(got);
    refuse_larger(size);
    if (got == 0) {
      break;
    }
    if (size == content.size()) {
      content.resize(content.size() * 2);
    }
  }
  content.resize(size);
  return content;
}

void write_file_atomic(const fs::path& path, std::string_view content) {
  fs::path temporary = path;
  temporary += ".tmp";
  try {
    const Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    write_all(file, content, temporary);
    flush(file, temporary);
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
      fail(path, "replace");
    }
  } catch (const Error&) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_directory(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

void sync_file(const fs::path& path) { flush(Descriptor(path, O_RDONLY), path); }

void sync_directory(const fs::path& directory) { flush(Descriptor(directory, O_RDONLY | O_DIRECTORY), directory); }

struct MappedFile::Mapping {
  explicit Mapping(fs::path file_path) : path(std::move(file_path)) {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    const Descriptor file(path, O_RDONLY | O_NONBLOCK);
    const struct stat status = status_of(file, path);
    if (!S_ISREG(status.st_mode)) {
      throw Error(ErrorCode::kIo, message("cannot map ", path.string(), ": it is not a regular file"));
    }
    size = static_cast<std::size_t>(status.st_size);
    if (size == 0) {
      return;  // mmap refuses an empty range
    }
    data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (data == MAP_FAILED) {
      fail(path, "map");
    }
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (size > 0) {
      ::munmap(data, size);
    }
  }

  fs::path path;
  void* data = nullptr;
  std::size_t size = 0;
};

MappedFile::MappedFile(const fs::path& path) : mapping_(std::make_shared<const Mapping>(path)) {}

std::span<const std::byte> MappedFile::bytes() const {
  return {static_cast<const std::byte*>(mapping_->data), mapping_->size};
}

std::string_view MappedFile::text() const { return {static_cast<const char*>(mapping_->data), mapping_->size}; }

const fs::path& MappedFile::path() const { return mapping_->path; }

std::optional<FileLock> FileLock::try_acquire(const fs::path& path) {
  Descriptor file(path, O_RDWR | O_CREAT);
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) {
      return std::nullopt;
    }
    if (errno != EINTR) {
      fail(path, "lock");
    }
  }
  return FileLock(file.release());
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);  // frees the lock: it belongs to the open file
  }
}

TemporaryDirectory::TemporaryDirectory() {
  std::error_code failure;
  fs::path parent = fs::temp_directory_path(failure);
  if (failure) {
    throw Error(ErrorCode::kIo, message("no temporary directory: ", failure.message()));
  }
  std::string name = (parent / "refrag-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) {
    fail(name, "create");
  }
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace refrag

#include "store/reader_lease.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const char* attempt) {
  const int reason = errno;
  throw Error(ErrorCode::kIo,
              message("cannot ", attempt, " ", path.string(), ": ", std::generic_category().message(reason)));
}

int open_leases(const std::filesystem::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    fail(path, "open");
  }
  return descriptor;
}

struct flock range(short type, std::int64_t start, std::int64_t length) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = length;
  return lock;
}

/// False where another holds it.
bool try_lock(int descriptor, struct flock lock, const std::filesystem::path& path) {
  if (::fcntl(descriptor, F_OFD_SETLK, &lock) == 0) {
    return true;
  }
  if (errno != EAGAIN && errno != EACCES) {
    fail(path, "lock");
  }
  return false;
}

}  // namespace

std::optional<ReaderLease> ReaderLease::share(const std::filesystem::path& path, std::int64_t generation) {
  ReaderLease lease(open_leases(path), generation);
  if (!try_lock(lease.descriptor_, range(F_RDLCK, generation, 1), path)) {
    return std::nullopt;
  }
  return lease;
}

ReaderLease ReaderLease::own_before(const std::filesystem::path& path, std::int64_t generation) {
  ReaderLease lease(open_leases(path), generation);
  // A length of 0 would mean "to the end of the file".
  while (lease.generation_ > 0 && !try_lock(lease.descriptor_, range(F_WRLCK, 0, lease.generation_), path)) {
    struct flock other = range(F_WRLCK, 0, lease.generation_);
    if (::fcntl(lease.descriptor_, F_OFD_GETLK, &other) != 0) {
      fail(path, "look at the locks of");
    }
    if (other.l_type != F_UNLCK) {
      lease.generation_ = other.l_start;
    }
  }
  return lease;
}

ReaderLease::~ReaderLease() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

}  // namespace refrag

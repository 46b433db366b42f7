#include "text/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/clock.h"
#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::size_t kMaxErrorBytes = 4096;

[[noreturn]] void fail(const std::string& what) {
  throw Error(ErrorCode::kIo, message("cannot start a child process: ", what, ": ", std::strerror(errno)));
}

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor() { close(); }
  int get() const { return value_; }
  bool is_open() const { return value_ >= 0; }
  void close() {
    if (value_ >= 0) {
      ::close(std::exchange(value_, -1));
    }
  }

 private:
  int value_ = -1;
};

struct Pipe {
  Descriptor read_end;
  Descriptor write_end;
};

Pipe make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    fail("pipe");
  }
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

// In memory, so that the child can seek in it, nothing is left behind, and no pipe has to be fed.
Descriptor input_file(std::string_view input) {
  Descriptor file(::memfd_create("refrag-input", MFD_CLOEXEC));
  if (!file.is_open()) {
    fail("memfd_create");
  }
  while (!input.empty()) {
    const ssize_t written = ::write(file.get(), input.data(), input.size());
    if (written < 0 && errno != EINTR) {
      fail("write");
    }
    input.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
  if (::lseek(file.get(), 0, SEEK_SET) != 0) {
    fail("lseek");
  }
  return file;
}

void set_limit(int resource, rlim_t value) {
  const rlimit limit{value, value};
  if (::setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
    ::_exit(126);
  }
}

// Between fork and exec: system calls alone, since another thread of the parent may have held any lock.
[[noreturn]] void become(const char* program, char* const* arguments, int input, int output, int errors,
                         const ChildLimits& limits) {
  ::setpgid(0, 0);
  if (::dup2(input, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(errors, 2) < 0) {
    ::_exit(126);
  }
  ::syscall(SYS_close_range, 3U, ~0U, 0U);
  set_limit(RLIMIT_CPU, limits.cpu_seconds);
  set_limit(RLIMIT_AS, limits.memory_bytes);
  set_limit(RLIMIT_FSIZE, 0);
  set_limit(RLIMIT_CORE, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  std::array<char, 15> locale{"LC_ALL=C.UTF-8"};
  const std::array<char*, 2> environment{locale.data(), nullptr};
  ::execve(program, arguments, environment.data());
  ::_exit(127);
}

/// A running child. Killed and reaped on destruction if it still runs.
class Child {
 public:
  explicit Child(pid_t id) : id_(id) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (id_ > 0) {
      kill();
      wait();
    }
  }
  void kill() const { ::kill(id_, SIGKILL); }
  // Readable once the child has ended.
  Descriptor end_descriptor() const {
    Descriptor result(static_cast<int>(::syscall(SYS_pidfd_open, id_, 0U)));
    if (!result.is_open()) {
      fail("pidfd_open");
    }
    return result;
  }
  int wait() {
    int status = 0;
    pid_t result = 0;
    do {
      result = ::waitpid(id_, &status, 0);
    } while (result < 0 && errno == EINTR);
    id_ = -1;
    if (result < 0) {
      fail("waitpid");  // the embedding program ignores SIGCHLD, say
    }
    return status;
  }

 private:
  pid_t id_;
};

// Appends what is there to read; closes `from` at its end.
void read_some(Descriptor& from, std::string& into, std::size_t max_bytes, bool& is_over) {
  std::array<char, 65536> buffer;  // NOLINT: filled by read
  const ssize_t count = ::read(from.get(), buffer.data(), buffer.size());
  if (count == 0 || (count < 0 && errno != EINTR && errno != EAGAIN)) {
    from.close();
    return;
  }
  const auto got = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
  const std::size_t room = max_bytes - std::min(max_bytes, into.size());
  into.append(buffer.data(), std::min(got, room));
  is_over = is_over || got > room;
}

double milliseconds_left(const Stopwatch& watch, const ChildLimits& limits) {
  return 1000.0 * static_cast<double>(limits.wall_seconds) - watch.elapsed_ms();
}

// Waits until one of `descriptors` has something to say; those that are closed are passed over.
template <std::size_t N>
void wait_for(std::array<pollfd, N>& descriptors, double milliseconds) {
  if (::poll(descriptors.data(), descriptors.size(), static_cast<int>(std::clamp(milliseconds + 1, 0.0, 1e6))) < 0 &&
      errno != EINTR) {
    fail("poll");
  }
}

// Until the child has closed both streams and ended. Sets timed_out or output_cut where it must be killed instead.
void follow(const Child& child, Descriptor output, Descriptor errors, const ChildLimits& limits, ChildResult& result) {
  const Stopwatch watch;
  const Descriptor ended = child.end_descriptor();
  bool errors_are_cut = false;  // of no interest: the rest is dropped
  bool has_ended = false;
  while (output.is_open() || errors.is_open() || !has_ended) {
    if (milliseconds_left(watch, limits) <= 0) {
      result.timed_out = true;
      return;
    }
    const bool streams_are_open = output.is_open() || errors.is_open();
    std::array<pollfd, 3> events{pollfd{output.get(), POLLIN, 0}, pollfd{errors.get(), POLLIN, 0},
                                 pollfd{streams_are_open ? -1 : ended.get(), POLLIN, 0}};
    wait_for(events, milliseconds_left(watch, limits));
    if (events[0].revents != 0) {
      read_some(output, result.output, limits.output_bytes, result.output_cut);
    }
    if (events[1].revents != 0) {
      read_some(errors, result.errors, kMaxErrorBytes, errors_are_cut);
    }
    has_ended = events[2].revents != 0;
    if (result.output_cut) {
      return;
    }
  }
}

}  // namespace

ChildResult run_child(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                      std::string_view input, const ChildLimits& limits) {
  const Descriptor input_end = input_file(input);
  Pipe output = make_pipe();
  Pipe errors = make_pipe();
  std::string program_name = program.string();
  std::vector<std::string> words = arguments;
  std::vector<char*> argv{program_name.data()};
  std::transform(words.begin(), words.end(), std::back_inserter(argv), [](std::string& word) { return word.data(); });
  argv.push_back(nullptr);

  const pid_t id = ::fork();
  if (id < 0) {
    fail("fork");
  }
  if (id == 0) {
    become(program_name.c_str(), argv.data(), input_end.get(), output.write_end.get(), errors.write_end.get(), limits);
  }
  Child child(id);
  output.write_end.close();
  errors.write_end.close();
  ChildResult result;
  follow(child, std::move(output.read_end), std::move(errors.read_end), limits, result);
  if (result.timed_out || result.output_cut) {
    child.kill();
  }
  const int status = child.wait();
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  result.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return result;
}

std::optional<std::filesystem::path> find_program(const std::string& name) {
  const char* search_path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): nothing of ours sets it
  std::string_view rest = search_path == nullptr ? "/usr/bin:/bin" : search_path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::filesystem::path candidate = std::filesystem::path(rest.substr(0, end)) / name;
    if (end > 0 && ::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return std::nullopt;
}

}  // namespace refrag

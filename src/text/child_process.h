#pragma once
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace refrag {

/// What a child process may use before it is killed.
struct ChildLimits {
  std::size_t cpu_seconds = 60;
  std::size_t wall_seconds = 120;
  std::size_t memory_bytes = 1u << 30;  // of address space
  std::size_t output_bytes = 64u << 20;
};

struct ChildResult {
  int exit_code = -1;  // -1 where a signal ended it
  int signal = 0;
  bool timed_out = false;   // killed after wall_seconds
  bool output_cut = false;  // killed for writing more than output_bytes
  std::string output;
  std::string errors;  // the first 4 KiB of what it wrote to standard error
};

/// Runs `program` on `input` (its standard input) and waits for it. The child sees no environment but LC_ALL, no file
/// of ours but its three streams, writes no file, and is in a process group of its own, so that Ctrl-C in our terminal
/// does not end it. Throws kIo where the operating system refuses to start it.
ChildResult run_child(const std::filesystem::path& program, const std::vector<std::string>& arguments,
                      std::string_view input, const ChildLimits& limits);

/// The program of that name in PATH.
std::optional<std::filesystem::path> find_program(const std::string& name);

}  // namespace refrag

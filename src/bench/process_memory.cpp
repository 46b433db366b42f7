#include "bench/process_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>

#include "base/message.h"

// jemalloc's, where it is linked: our programs keep what they freed, which would count as used.
extern "C" int mallctl(const char* name, void* old, std::size_t* old_size, void* set, std::size_t set_size)
    __attribute__((weak));

namespace refrag::bench {
namespace {

constexpr unsigned kAllArenas = 4096;  // MALLCTL_ARENAS_ALL

void give_back_free_memory() {
  if (mallctl != nullptr) mallctl(message("arena.", kAllArenas, ".purge").c_str(), nullptr, nullptr, nullptr, 0);
}

}  // namespace

bool reset_peak_memory() {
  give_back_free_memory();
  std::ofstream file("/proc/self/clear_refs");
  file << "5";  // the peak of resident memory (proc(5))
  file.flush();
  return file.good();
}

std::optional<std::uint64_t> peak_memory_since_reset() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t kibibytes = 0;
    if (words >> name >> kibibytes && name == "VmHWM:") return kibibytes * 1024;
  }
  return std::nullopt;
}

void forget_cached_files(const std::filesystem::path& directory) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (!entry.is_regular_file()) continue;
    const int file = open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    fsync(file);  // what is not written back cannot be forgotten
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    close(file);
  }
}

}  // namespace refrag::bench

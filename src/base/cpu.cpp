#include "base/cpu.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>
#include <utility>

#include "base/control_group.h"
#include "base/message.h"

namespace refrag {
namespace {

/// The value of the first line "key : value" of /proc/cpuinfo, or empty.
std::string cpuinfo(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (line.starts_with(key) && colon != std::string::npos) {
      const std::size_t value = line.find_first_not_of(' ', colon + 1);
      return value == std::string::npos ? "" : line.substr(value);
    }
  }
  return {};
}

/// Which core of which package logical processor `cpu` is a thread of.
std::pair<int, int> core_of(int cpu) {
  const auto number_in = [&](const char* name) {
    std::ifstream file(message("/sys/devices/system/cpu/cpu", cpu, "/topology/", name));
    int number = -1;
    file >> number;
    return number;
  };
  const std::pair core{number_in("physical_package_id"), number_in("core_id")};
  return core.second < 0 ? std::pair{-1, cpu} : core;  // not told: a core of its own
}

}  // namespace

CpuFeatures cpu_features() {
  // The kernel's list: it leaves out what it does not save on a context switch, unlike CPUID.
  CpuFeatures features;
  std::istringstream flags(cpuinfo("flags"));
  for (std::string flag; flags >> flag;) {
    features.avx2 |= flag == "avx2";
    features.avx512f |= flag == "avx512f";
    features.avx512_bf16 |= flag == "avx512_bf16";
    features.amx_bf16 |= flag == "amx_bf16";
  }
  return features;
}

std::string cpu_model_name() {
  const std::string name = cpuinfo("model name");
  return name.empty() ? "unknown processor" : name;
}

std::size_t physical_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  std::set<std::pair<int, int>> cores;
  if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &allowed)) {
        cores.insert(core_of(cpu));
      }
    }
  }
  std::size_t count = cores.empty() ? std::thread::hardware_concurrency() : cores.size();
  if (const auto limit = control_group_limits().cpus) {
    count = std::min(count, static_cast<std::size_t>(std::ceil(*limit)));
  }
  return std::max<std::size_t>(count, 1);
}

std::uint64_t memory_bytes() {
  const auto machine =
      static_cast<std::uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  return std::min(machine, control_group_limits().memory_bytes.value_or(machine));
}

std::uint64_t peak_memory_bytes() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace refrag

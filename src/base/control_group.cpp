#include "base/control_group.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace refrag {
namespace {

namespace fs = std::filesystem;

/// Numbers of a limit file; "max" and -1 (no limit) end the list.
std::vector<double> numbers_in(const fs::path& path) {
  std::vector<double> numbers;
  std::ifstream file(path);
  for (double number = 0; file >> number && number > 0;) {
    numbers.push_back(number);
  }
  return numbers;
}

template <typename T>
void lower(std::optional<T>& limit, double found) {
  // v1 writes "no limit" as the largest multiple of a page in 63 bits.
  constexpr double kNoLimit = 9e18;
  if (found < kNoLimit) {
    limit = std::min(limit.value_or(static_cast<T>(found)), static_cast<T>(found));
  }
}

void read_group(const fs::path& group, ControlGroupLimits& limits) {
  for (const char* name : {"memory.max", "memory.limit_in_bytes"}) {
    if (const auto memory = numbers_in(group / name); !memory.empty()) {
      lower(limits.memory_bytes, memory[0]);
    }
  }
  auto quota = numbers_in(group / "cpu.max");  // v2: "quota period"
  if (quota.empty()) {
    quota = numbers_in(group / "cpu.cfs_quota_us");
    const auto period = numbers_in(group / "cpu.cfs_period_us");
    quota.insert(quota.end(), period.begin(), period.end());
  }
  if (quota.size() == 2) {
    lower(limits.cpus, quota[0] / quota[1]);
  }
}

/// From `group` (as /proc/self/cgroup writes it, "/a/b") up to the mount point. In a container the path may not be
/// visible, but the mount point itself is then the container's group.
void read_upwards(const fs::path& mount, fs::path group, ControlGroupLimits& limits) {
  group = group.relative_path().lexically_normal();
  while (!group.empty()) {
    read_group(mount / group, limits);
    group = group.parent_path();
  }
  read_group(mount, limits);
}

}  // namespace

ControlGroupLimits control_group_limits(const fs::path& membership, const fs::path& root) {
  ControlGroupLimits limits;
  std::ifstream file(membership);
  for (std::string line; std::getline(file, line);) {  // "HIERARCHY:CONTROLLERS:PATH"; v2 has no controllers
    std::istringstream fields(line);
    std::string hierarchy;
    std::string controllers;
    std::string path;
    std::getline(fields, hierarchy, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    read_upwards(controllers.empty() ? root : root / controllers, path, limits);
  }
  return limits;
}

}  // namespace refrag

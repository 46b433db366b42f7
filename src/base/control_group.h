#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>

namespace refrag {

/// Limits of the Linux control groups (v1 or v2) that this process runs in; absent where there is none.
struct ControlGroupLimits {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<double> cpus;
};

/// The tightest limit of the group and those above it. `membership` is /proc/self/cgroup, `root` where cgroups are
/// mounted.
ControlGroupLimits control_group_limits(const std::filesystem::path& membership = "/proc/self/cgroup",
                                        const std::filesystem::path& root = "/sys/fs/cgroup");

}  // namespace refrag

#include "base/control_group.h"

#include <gtest/gtest.h>

#include "base/files.h"

namespace refrag {
namespace {

class ControlGroupTest : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& content) const {
    const std::filesystem::path path = directory_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    write_file_atomic(path, content);
  }
  ControlGroupLimits limits() const {
    return control_group_limits(directory_.path() / "membership", directory_.path() / "fs");
  }

  TemporaryDirectory directory_;
};

TEST_F(ControlGroupTest, WithoutControlGroupsThereIsNoLimit) {
  EXPECT_EQ(limits().memory_bytes, std::nullopt);
  EXPECT_EQ(limits().cpus, std::nullopt);
}

TEST_F(ControlGroupTest, Version2LimitsAreRead) {
  write("membership", "0::/job\n");
  write("fs/job/memory.max", "1000000\n");
  write("fs/job/cpu.max", "150000 100000\n");

  EXPECT_EQ(limits().memory_bytes, 1'000'000U);
  EXPECT_EQ(limits().cpus, 1.5);
}

TEST_F(ControlGroupTest, TheTightestGroupAboveCounts) {
  write("membership", "0::/outer/inner\n");
  write("fs/outer/memory.max", "500\n");
  write("fs/outer/inner/memory.max", "700\n");

  EXPECT_EQ(limits().memory_bytes, 500U);
}

TEST_F(ControlGroupTest, TheWordMaxIsNoLimit) {
  write("membership", "0::/job\n");
  write("fs/job/memory.max", "max\n");
  write("fs/job/cpu.max", "max 100000\n");

  EXPECT_EQ(limits().memory_bytes, std::nullopt);
  EXPECT_EQ(limits().cpus, std::nullopt);
}

TEST_F(ControlGroupTest, InAContainerTheMountPointIsTheGroup) {
  write("membership", "0::/not/visible/here\n");
  write("fs/memory.max", "900\n");

  EXPECT_EQ(limits().memory_bytes, 900U);
}

TEST_F(ControlGroupTest, Version1LimitsAreRead) {
  write("membership", "4:memory:/job\n3:cpu,cpuacct:/job\n");
  write("fs/memory/job/memory.limit_in_bytes", "800\n");
  write("fs/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("fs/cpu,cpuacct/job/cpu.cfs_quota_us", "200000\n");
  write("fs/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");

  EXPECT_EQ(limits().memory_bytes, 800U);
  EXPECT_EQ(limits().cpus, 2.0);
}

TEST_F(ControlGroupTest, Version1QuotaOfMinusOneIsNoLimit) {
  write("membership", "3:cpu:/\n");
  write("fs/cpu/cpu.cfs_quota_us", "-1\n");
  write("fs/cpu/cpu.cfs_period_us", "100000\n");

  EXPECT_EQ(limits().cpus, std::nullopt);
}

}  // namespace
}  // namespace refrag

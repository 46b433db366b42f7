#include "train/process_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "refrag/error.h"

namespace refrag::train {
namespace {

/// What a launcher says to the processes that it starts, for a test's time. These tests are started by none.
class LauncherSays {
 public:
  LauncherSays(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  LauncherSays(const LauncherSays&) = delete;
  LauncherSays& operator=(const LauncherSays&) = delete;
  ~LauncherSays() { ::unsetenv(name_); }

 private:
  const char* name_;
};

TEST(ProcessGroup, OneProcessHasAllOfTheWorkAndItsOwnSums) {
  const ProcessGroup group = ProcessGroup::of_launcher();
  EXPECT_EQ(group.size(), 1);
  EXPECT_TRUE(group.is_first());
  EXPECT_TRUE(group.is_mine(0) && group.is_mine(17));
  EXPECT_EQ(group.range_of(7), std::pair(std::size_t{0}, std::size_t{7}));
  std::array<float, 2> numbers = {1, 2};
  group.sum(std::span(numbers));
  group.copy_from_first(numbers);
  EXPECT_EQ(numbers, (std::array<float, 2>{1, 2}));
  EXPECT_TRUE(group.any(true));
  EXPECT_FALSE(group.any(false));
  int acts = 0;
  group.first_then_others([&] { ++acts; });
  EXPECT_EQ(acts, 1);
}

TEST(ProcessGroup, TheLauncherIsKnownByTheEnvironment) {
  EXPECT_EQ(launched_processes(), 1);
  {
    const LauncherSays mpirun("OMPI_COMM_WORLD_SIZE", "4");
    EXPECT_EQ(launched_processes(), 4);
  }
  const LauncherSays batch("SLURM_NTASKS", "8");  // the script around srun: one process
  EXPECT_EQ(launched_processes(), 1);
  const LauncherSays srun("SLURM_STEP_NUM_TASKS", "8");
  EXPECT_EQ(launched_processes(), 8);
  const LauncherSays nothing("PMI_SIZE", "many");
  EXPECT_EQ(launched_processes(), 8);
  try {
    ProcessGroup::of_launcher();
    FAIL();
  } catch (const Error& error) {  // which of the two depends on the build
    EXPECT_THAT(error.what(),
                ::testing::AnyOf(::testing::HasSubstr("srun --mpi=pmix"), ::testing::HasSubstr("without MPI")));
  }
}

TEST(ProcessGroup, WorkIsDividedEvenlyByCostAndEachPieceOnce) {
  const std::vector<std::uint64_t> costs = {5, 100, 7, 60, 40, 3, 55, 30};  // 300
  for (const std::int64_t processes : {1, 2, 3, 8, 11}) {
    const std::vector<std::int64_t> owners = divide_work(costs, processes);
    ASSERT_EQ(owners.size(), costs.size());
    std::vector<std::uint64_t> loads(static_cast<std::size_t>(processes), 0);
    for (std::size_t n = 0; n < costs.size(); ++n) loads.at(static_cast<std::size_t>(owners[n])) += costs[n];
    EXPECT_EQ(std::accumulate(loads.begin(), loads.end(), std::uint64_t{0}), 300U);
    const std::uint64_t most = *std::max_element(loads.begin(), loads.end());
    EXPECT_LE(most, std::max<std::uint64_t>(100, 300 / static_cast<std::uint64_t>(processes) + 10)) << processes;
  }
  EXPECT_TRUE(divide_work({}, 2).empty());
}

}  // namespace
}  // namespace refrag::train

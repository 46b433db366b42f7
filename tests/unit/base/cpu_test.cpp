#include "base/cpu.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>
#include <vector>

namespace refrag {
namespace {

TEST(CpuTest, CoresAreAtMostTheProcessorsThatThisProcessMayUse) {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);

  EXPECT_GE(physical_cores(), 1U);
  EXPECT_LE(physical_cores(), static_cast<std::size_t>(CPU_COUNT(&allowed)));
}

TEST(CpuTest, BoundToOneProcessorThereIsOneCore) {
  std::size_t cores = 0;
  std::thread([&] {  // affinity belongs to a thread: the others keep theirs
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    cores = physical_cores();
  })
      .join();

  EXPECT_EQ(cores, 1U);
}

TEST(CpuTest, PeakMemoryCoversWhatWasTouched) {
  constexpr std::size_t kBytes = 64U << 20;
  const std::vector<char> touched(kBytes, 'x');

  EXPECT_GE(peak_memory_bytes(), touched.size());
  EXPECT_LE(peak_memory_bytes(), 1ULL << 50);
}

TEST(CpuTest, MemoryIsThatOfAPlausibleMachine) {
  EXPECT_GT(memory_bytes(), 64ULL << 20);
  EXPECT_LT(memory_bytes(), 1ULL << 50);
}

TEST(CpuTest, WiderInstructionsImplyNarrowerOnes) {
  const CpuFeatures features = cpu_features();

  EXPECT_TRUE(!features.avx512_bf16 || features.avx512f);
  EXPECT_TRUE(!features.avx512f || features.avx2);
  EXPECT_FALSE(cpu_model_name().empty());
}

}  // namespace
}  // namespace refrag

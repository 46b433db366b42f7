// What our programs ask of jemalloc (src/base/malloc_conf.c), which this test is linked with as they are.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

extern "C" int mallctl(const char* name, void* old, std::size_t* old_size, void* set, std::size_t set_size);

namespace refrag {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
using Block = std::unique_ptr<void, Free>;

/// Blocks that are written to, so that they take memory.
std::vector<Block> blocks(std::size_t count, std::size_t bytes) {
  std::vector<Block> all;
  for (std::size_t n = 0; n < count; ++n) {
    all.emplace_back(std::malloc(bytes));
    std::memset(all.back().get(), 1, bytes);
  }
  return all;
}

/// Bytes in memory for the sake of the program's blocks, those that it freed included.
std::size_t resident() {
  std::uint64_t epoch = 1;  // jemalloc counts anew
  std::size_t bytes = 0;
  std::size_t size = sizeof(bytes);
  EXPECT_EQ(mallctl("epoch", nullptr, nullptr, &epoch, sizeof(epoch)), 0);
  EXPECT_EQ(mallctl("stats.resident", &bytes, &size, nullptr, 0), 0);
  return bytes;
}

TEST(MallocConfTest, FreedBlocksAreKeptAndServeMuchSmallerOnes) {
  blocks(32, 2 * kMiB);
  const std::size_t before = resident();
  EXPECT_GE(before, 64 * kMiB);

  const std::vector<Block> small = blocks(512, kMiB / 16);  // 32 MiB, each a thousandth of what was freed side by side
  EXPECT_LT(resident(), before + 4 * kMiB);
}

}  // namespace
}  // namespace refrag

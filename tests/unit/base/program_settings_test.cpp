// What our programs ask of jemalloc and OpenMP (src/base/malloc_conf.c, openmp_spin.c), which this test is linked with
// as they are.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

extern "C" int mallctl(const char* name, void* old, std::size_t* old_size, void* set, std::size_t set_size);

namespace refrag {
namespace {

constexpr std::size_t kMiB = std::size_t{1} << 20;
constexpr const char* kSay = "SAY_HOW_OPENMP_WAITS";

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

/// This test, started anew with `variables` alone in its environment, says how OpenMP waits there.
std::string spin_count_where(const std::string& variables) {
  const std::string itself = std::filesystem::read_symlink("/proc/self/exe");
  const std::string command =
      "env -i " + std::string(kSay) + "=1 " + variables + " '" + itself + "' --gtest_filter='OpenMpSpin*'";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> output(popen(command.c_str(), "r"), pclose);
  std::string text(std::size_t{1} << 16, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), output.get()));
  const std::size_t begin = text.find('<') + 1;
  return text.substr(begin, text.find('>') - begin);
}

TEST(OpenMpSpinTest, WaitsShortlyUnlessTheUserSaysHow) {
  if (std::getenv(kSay) != nullptr) {
    const char* spins = std::getenv("GOMP_SPINCOUNT");
    std::cout << '<' << (spins == nullptr ? "nothing" : spins) << '>';
    return;
  }
  EXPECT_EQ(spin_count_where(""), "3000");
  EXPECT_EQ(spin_count_where("LANG=C"), "3000");
  EXPECT_EQ(spin_count_where("GOMP_SPINCOUNT=5"), "5");
  EXPECT_EQ(spin_count_where("OMP_WAIT_POLICY=passive"), "nothing");
}

}  // namespace
}  // namespace refrag

#include "model/kv_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace refrag {
namespace {

constexpr KvCache::Shape kShape = {2, 3, 4};

/// T rows of all heads, each value its own.
at::Tensor rows(std::int64_t count, double first) {
  return at::arange(first, first + static_cast<double>(3 * count * 4), at::kFloat).view({3, count, 4});
}

void append(KvCache& cache, std::int64_t count, double first) {
  for (std::size_t layer = 0; layer < 2; ++layer) {
    cache.write(layer, rows(count, first), rows(count, -first));
  }
  cache.advance(count);
}

TEST(KvCacheTest, ShowsThePastBeforeTheNewRows) {
  KvCache cache(kShape, at::kFloat);
  append(cache, 5, 100);

  const KvCache::View view = cache.write(1, rows(2, 900), rows(2, -900));

  EXPECT_TRUE(at::equal(view.keys, at::cat({rows(5, 100), rows(2, 900)}, 1)));
  EXPECT_TRUE(at::equal(view.values, at::cat({rows(5, -100), rows(2, -900)}, 1)));
}

TEST(KvCacheTest, RowsCountOnlyAfterAdvance) {
  KvCache cache(kShape, at::kFloat);

  cache.write(0, rows(2, 1), rows(2, 1));
  EXPECT_EQ(cache.length(), 0);

  cache.advance(2);
  EXPECT_EQ(cache.length(), 2);
}

TEST(KvCacheTest, KeepsItsRowsWhenItGrows) {
  KvCache cache(kShape, at::kFloat, 40);
  append(cache, 40, 100);

  const KvCache::View view = cache.write(0, rows(1, 7), rows(1, 7));

  EXPECT_TRUE(at::equal(view.keys.narrow(1, 0, 40), rows(40, 100)));
  EXPECT_EQ(cache.capacity(), 80);
}

TEST(KvCacheTest, GrowsOnceForManyRows) {
  KvCache cache(kShape, at::kFloat);

  cache.reserve(1000);

  EXPECT_EQ(cache.capacity(), 1000);
}

TEST(KvCacheTest, CutsBackWithoutGivingUpItsRoom) {
  KvCache cache(kShape, at::kFloat, 64);
  append(cache, 50, 100);
  const std::size_t bytes = cache.bytes();

  cache.truncate(20);
  const KvCache::View view = cache.write(0, rows(3, 900), rows(3, 900));

  EXPECT_EQ(cache.length(), 20);
  EXPECT_EQ(cache.bytes(), bytes);
  EXPECT_TRUE(at::equal(view.keys, at::cat({rows(50, 100).narrow(1, 0, 20), rows(3, 900)}, 1)));
}

TEST(KvCacheTest, CountsItsBytes) {
  // Keys and values, 2 layers, 3 heads, 64 positions, 4 wide.
  EXPECT_EQ(KvCache(kShape, at::kFloat, 64).bytes(), 2U * 2 * 3 * 64 * 4 * 4);
  EXPECT_EQ(KvCache(kShape, at::kBFloat16, 64).bytes(), 2U * 2 * 3 * 64 * 4 * 2);
}

}  // namespace
}  // namespace refrag

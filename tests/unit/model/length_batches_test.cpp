#include "model/length_batches.h"

#include <gtest/gtest.h>

namespace refrag {
namespace {

using Batches = std::vector<std::vector<std::size_t>>;

TEST(LengthBatches, PutsRowsOfSimilarLengthTogetherShortestFirst) {
  EXPECT_EQ(batches_by_length({9, 2, 8, 3}, 18), (Batches{{1, 3}, {2, 0}}));
}

TEST(LengthBatches, KeepsEveryPaddedBatchWithinTheBudget) {
  EXPECT_EQ(batches_by_length({4, 4, 4, 4, 4}, 8), (Batches{{0, 1}, {2, 3}, {4}}));
}

TEST(LengthBatches, GivesARowAboveTheBudgetABatchOfItsOwn) {
  EXPECT_EQ(batches_by_length({100, 2}, 10), (Batches{{1}, {0}}));
}

TEST(LengthBatches, MakesNoBatchOfNoRows) { EXPECT_TRUE(batches_by_length({}, 10).empty()); }

}  // namespace
}  // namespace refrag

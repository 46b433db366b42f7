#include "retrieve/fusion.h"

#include <gtest/gtest.h>

namespace refrag {
namespace {

ScoredPassage found(std::int64_t row, double score) { return {.key = {.segment = 1, .row = row}, .score = score}; }

std::vector<std::int64_t> rows(const std::vector<Candidate>& candidates) {
  std::vector<std::int64_t> rows;
  for (const Candidate& candidate : candidates) {
    rows.push_back(candidate.key.row);
  }
  return rows;
}

using Rows = std::vector<std::int64_t>;

TEST(FusionTest, AddsReciprocalRanks) {
  const std::vector<Candidate> fused = fuse({found(1, 0.9), found(2, 0.8)}, {found(3, 7), found(2, 5)}, 60);

  EXPECT_EQ(rows(fused), (Rows{2, 1, 3}));
  EXPECT_DOUBLE_EQ(fused[0].score, 1.0 / 62 + 1.0 / 62);
  EXPECT_DOUBLE_EQ(fused[1].score, 1.0 / 61);
}

TEST(FusionTest, KeepsScoreAndRankOfEachSearch) {
  const std::vector<Candidate> fused = fuse({found(1, 0.9), found(2, 0.8)}, {found(2, 5)}, 60);

  ASSERT_EQ(rows(fused), (Rows{2, 1}));
  EXPECT_EQ(fused[0].dense->rank, 2U);
  EXPECT_DOUBLE_EQ(fused[0].dense->score, 0.8);
  EXPECT_EQ(fused[0].lexical->rank, 1U);
  EXPECT_FALSE(fused[1].lexical.has_value());
}

TEST(FusionTest, BreaksTiesByPlace) {
  EXPECT_EQ(rows(fuse({found(9, 1)}, {found(4, 1)}, 60)), (Rows{4, 9}));
  EXPECT_EQ(rows(fuse({found(4, 1)}, {found(9, 1)}, 60)), (Rows{4, 9}));
}

TEST(FusionTest, KeepsTheScoresOfASingleSearch) {
  const std::vector<Candidate> dense = from_dense({found(2, 0.5), found(1, -0.5)});

  EXPECT_EQ(rows(dense), (Rows{2, 1}));
  EXPECT_DOUBLE_EQ(dense[1].score, -0.5);
  EXPECT_EQ(dense[1].dense->rank, 2U);
  EXPECT_EQ(from_lexical({found(1, 3)})[0].lexical->rank, 1U);
}

}  // namespace
}  // namespace refrag

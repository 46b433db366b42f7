#include "engine/ranking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "refrag/error.h"
#include "support/fake_runner.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;

TEST(RankingTest, HigherScoresComeFirstAndTiesByIndex) {
  const std::vector<float> scores = {1, 3, 1, 3, 2};
  const Ranking ranking = rank_by_scores(scores);
  EXPECT_THAT(ranking.order, ElementsAre(1u, 3u, 4u, 0u, 2u));
  EXPECT_EQ(ranking.scores[4], 2.0);
}

TEST(RankingTest, ScoresThatAreNotNumbersAreAnError) {
  const std::vector<float> scores = {1, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THROW(rank_by_scores(scores), Error);
}

TEST(RankingTest, RandomIsAPermutationThatTheSeedDecides) {
  const Ranking one = rank_random(50, 1);
  EXPECT_EQ(one.order, rank_random(50, 1).order);
  EXPECT_NE(one.order, rank_random(50, 2).order);
  EXPECT_THAT(one.order, ::testing::UnorderedElementsAreArray(rank_first(50).order));
  EXPECT_FALSE(one.scores[0].has_value());
}

TEST(RankingTest, SimilarityIsTheCosineWithTheMeanOfTheQuestion) {
  const Matrix question{2, 2, {2, 0, 0, 2}};
  const Matrix context{4, 2, {1, 0, 5, 5, -1, -1, 0, 0}};
  const Ranking ranking = rank_by_similarity(question, context);
  EXPECT_THAT(ranking.order, ElementsAre(1u, 0u, 3u, 2u));
  EXPECT_NEAR(*ranking.scores[1], 1, 1e-6);
  EXPECT_NEAR(*ranking.scores[2], -1, 1e-6);
  EXPECT_EQ(*ranking.scores[3], 0);
}

TEST(RankingTest, ThePolicyRanksWhereItIsAskedTo) {
  const testing::FakeRunner runner;
  const Matrix question = runner.encode_chunks({{5, 6}});
  const Matrix context = runner.encode_chunks({{1}, {2}, {3}});
  const std::vector<float> scores = runner.score_chunks(question, context, nullptr);
  const RankingInput input{question, context, nullptr};
  EXPECT_EQ(rank_chunks(ExpandBy::kPolicy, input, 0, runner).order, rank_by_scores(scores).order);
  EXPECT_THAT(rank_chunks(ExpandBy::kFirst, input, 0, runner).order, ElementsAre(0u, 1u, 2u));
}

}  // namespace
}  // namespace refrag

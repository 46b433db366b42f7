#include "engine/selection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "support/fake_runner.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A prompt of two passages with chunks of (4 4) and (2) tokens; the best one, of two chunks, stands last.
class SelectionTest : public ::testing::Test {
 protected:
  static ContextPassage passage(const std::vector<std::size_t>& sizes) {
    ContextPassage result;
    for (const std::size_t size : sizes) result.chunks.emplace_back(size, testing::FakeTokenizer::kFirstByte + 'x');
    return result;
  }
  PromptLayout layout() const { return {query_, {passage({4, 4}), passage({2})}, writer_}; }
  Selection select(const Ranking& ranking) const { return select_ranked(query_.expand, layout(), ranking, target_); }

  testing::FakeRunner runner_;
  PromptWriter writer_{runner_.info()};
  Query query_ = [] {
    Query query;
    query.question = "what";
    return query;
  }();
  TtftTarget target_{0, [] {
                       const std::vector<PrefillMeasurement> measured = {{100, 1000}, {200, 2000}, {400, 4000}};
                       return LatencyModel::fit(measured);  // 10 ms a position
                     }};
};

const std::vector<float> kScores = {1, 3, 2};  // by chunk, in the order of the prompt

TEST_F(SelectionTest, EverythingIsExpandedInModeFull) {
  const Selection selection = select_all(3);
  EXPECT_EQ(selection.expanded_count(), 3u);
  EXPECT_EQ(selection.reasons[2], "all chunks (mode full)");
  EXPECT_FALSE(selection.scores[2].has_value());
}

TEST_F(SelectionTest, WithoutAWordATenthIsExpandedAtLeastOneChunk) {
  const Selection selection = select(rank_by_scores(kScores));
  EXPECT_THAT(selection.expanded, ElementsAre(false, true, false));
  EXPECT_THAT(selection.reasons,
              ElementsAre("rank 3 of 3, budget 1", "rank 1 of 3, budget 1", "rank 2 of 3, budget 1"));
  EXPECT_EQ(selection.scores[1], 3.0);
}

TEST_F(SelectionTest, AFractionExpandsTheBestRanked) {
  query_.expand.fraction = 0.67;
  EXPECT_THAT(select(rank_by_scores(kScores)).expanded, ElementsAre(false, true, true));
}

TEST_F(SelectionTest, TokensAreSpentInRankOrder) {
  query_.expand.tokens = 9;
  const Selection selection = select(rank_by_scores(kScores));
  EXPECT_THAT(selection.expanded, ElementsAre(false, true, true)) << "4 and 4; the 2 of the last are too many";
  EXPECT_EQ(selection.reasons[0], "rank 3 of 3, budget 2 for 9 tokens");
  query_.expand.tokens = 3;
  EXPECT_EQ(select(rank_by_scores(kScores)).expanded_count(), 0u);
}

TEST_F(SelectionTest, ATimeCountsWhatIsSpentAlready) {
  const std::size_t compressed = layout().positions({false, false, false});
  query_.expand.ttft_ms = 10.0 * static_cast<double>(compressed + 3) + 5;  // one chunk of 4 in place of its vector
  const Selection selection = select(rank_by_scores(kScores));
  EXPECT_THAT(selection.expanded, ElementsAre(false, true, false));
  EXPECT_THAT(selection.reasons[0], HasSubstr("the latency model errs by up to"));
  target_.spent_ms = 10;
  EXPECT_EQ(select(rank_by_scores(kScores)).expanded_count(), 0u);
}

TEST_F(SelectionTest, TheLatencyModelIsAskedForOnlyByATime) {
  target_.latency = []() -> LatencyModel { throw std::logic_error("asked for"); };
  EXPECT_NO_THROW(select(rank_by_scores(kScores)));
}

TEST_F(SelectionTest, RulesOtherThanThePolicySayTheirName) {
  query_.expand.by = ExpandBy::kFirst;
  const Selection selection = select(rank_first(3));
  EXPECT_EQ(selection.reasons[0], "rule: first, rank 1 of 3, budget 1");
  EXPECT_FALSE(selection.scores[0].has_value());
}

TEST_F(SelectionTest, ForcedChunksAreNamedByPassageAndChunkInTheOrderOfThePrompt) {
  query_.expand.by = ExpandBy::kIds;
  query_.expand.ids = {{1, 1}, {0, 0}, {1, 1}};
  const Selection selection = select_forced(layout());
  EXPECT_THAT(selection.expanded, ElementsAre(true, false, true));
  EXPECT_THAT(selection.reasons,
              ElementsAre("forced by the caller", "not among the caller's ids", "forced by the caller"));
}

}  // namespace
}  // namespace refrag

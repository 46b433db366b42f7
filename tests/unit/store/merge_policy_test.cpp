#include "store/merge_policy.h"

#include <gmock/gmock.h>

#include <vector>

namespace refrag::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<SegmentSize> equal_segments(std::size_t count, std::size_t rows) {
  std::vector<SegmentSize> segments;
  for (std::size_t i = 0; i < count; ++i) {
    segments.push_back({static_cast<std::int64_t>(i + 1), rows, rows});
  }
  return segments;
}

TEST(MergePolicyTest, TenSegmentsOfASizeAreLeftAlone) {
  EXPECT_THAT(MergePolicy().pick(equal_segments(10, 64)), IsEmpty());
}

TEST(MergePolicyTest, ElevenSegmentsOfASizeAreFolded) {
  EXPECT_THAT(MergePolicy().pick(equal_segments(11, 64)), SizeIs(11));
}

TEST(MergePolicyTest, SegmentsOfOtherSizesAreNotFoldedWithThem) {
  std::vector<SegmentSize> segments = equal_segments(11, 64);
  segments.push_back({100, 5000, 5000});
  EXPECT_THAT(MergePolicy().pick(segments), ::testing::Not(::testing::Contains(100)));
}

TEST(MergePolicyTest, SegmentWithMoreDeadThanLiveRowsIsRewrittenAlone) {
  EXPECT_THAT(MergePolicy().pick(std::vector<SegmentSize>{{1, 10, 10}, {2, 10, 4}}), ElementsAre(2));
  EXPECT_THAT(MergePolicy().pick(std::vector<SegmentSize>{{1, 10, 10}, {2, 10, 5}}), IsEmpty());
}

TEST(MergePolicyTest, SegmentWithoutLiveRowsIsDropped) {
  EXPECT_THAT(MergePolicy().pick(std::vector<SegmentSize>{{7, 0, 0}}), ElementsAre(7));
}

TEST(MergePolicyTest, MergesStayBelowTheLimitOfRows) {
  MergePolicy policy;
  policy.most_rows = 500;
  EXPECT_THAT(policy.pick(equal_segments(11, 200)), ElementsAre(1, 2));
  EXPECT_THAT(policy.pick(equal_segments(50, 251)), IsEmpty());
}

TEST(MergePolicyTest, PickingEndsAfterFewRoundsHoweverManySegmentsThereAre) {
  const MergePolicy policy;
  std::vector<SegmentSize> segments = equal_segments(5000, 64);
  std::int64_t next = 10'000;
  std::size_t rewritten = 0;
  for (std::vector<std::int64_t> due; !(due = policy.pick(segments)).empty();) {
    SegmentSize folded{next++, 0, 0};
    std::erase_if(segments, [&](const SegmentSize& segment) {
      const bool is_due = std::ranges::find(due, segment.number) != due.end();
      folded.live += is_due ? segment.live : 0;
      return is_due;
    });
    folded.rows = folded.live;
    rewritten += folded.live;
    segments.push_back(folded);
  }
  EXPECT_LE(segments.size(), 40);
  EXPECT_LE(rewritten, 5000 * 64 * 4);
}

TEST(MergePolicyTest, WhenAskedAllSegmentsAreFoldedThatFit) {
  MergePolicy policy;
  policy.most_rows = 500;
  const auto groups = policy.pick_all(equal_segments(5, 200));
  EXPECT_THAT(groups, ElementsAre(ElementsAre(1, 2), ElementsAre(3, 4)));
}

TEST(MergePolicyTest, WhenAskedALoneSegmentIsRewrittenOnlyToDropTheDead) {
  EXPECT_THAT(MergePolicy().pick_all(std::vector<SegmentSize>{{1, 10, 10}}), IsEmpty());
  EXPECT_THAT(MergePolicy().pick_all(std::vector<SegmentSize>{{1, 10, 9}}), ElementsAre(ElementsAre(1)));
  EXPECT_THAT(MergePolicy().pick_all({}), IsEmpty());
}

}  // namespace
}  // namespace refrag::testing

#include "engine/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "refrag/error.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;

constexpr std::size_t kPlenty = 1000;

/// Plans and carries the plan out, with `capacity` positions of KV memory in all.
StepPlan step(Scheduler& scheduler, std::size_t capacity = kPlenty) {
  const StepPlan plan = scheduler.plan(capacity - scheduler.positions_held());
  scheduler.record(plan);
  return plan;
}

/// Every request of the plan gets one more token.
void grow(Scheduler& scheduler, const StepPlan& plan) {
  for (const PlannedRun& run : plan.runs) {
    const std::size_t length = run.start + run.count;
    scheduler.change(run.id, length + 1, length);
  }
}

TEST(SchedulerTest, NothingToDoIsAnEmptyPlan) { EXPECT_TRUE(Scheduler(4, kPlenty).plan(kPlenty).empty()); }

TEST(SchedulerTest, APromptIsComputedWholeAndThenTokenByToken) {
  Scheduler scheduler(4, kPlenty);
  scheduler.add(1, 10);
  const StepPlan prefill = step(scheduler);
  EXPECT_THAT(prefill.runs, ElementsAre(PlannedRun{1, 0, 10}));
  EXPECT_TRUE(scheduler.plan(kPlenty).empty()) << "all is computed until the next token is known";
  grow(scheduler, prefill);
  EXPECT_THAT(step(scheduler).runs, ElementsAre(PlannedRun{1, 10, 1}));
}

TEST(SchedulerTest, PlanningChangesNothing) {
  Scheduler scheduler(4, kPlenty);
  scheduler.add(1, 10);
  scheduler.plan(kPlenty);
  EXPECT_THAT(scheduler.plan(kPlenty).runs, ElementsAre(PlannedRun{1, 0, 10}));
  EXPECT_EQ(scheduler.running(), 0u);
}

TEST(SchedulerTest, ANewRequestJoinsThoseThatDecode) {
  Scheduler scheduler(4, kPlenty);
  scheduler.add(1, 10);
  grow(scheduler, step(scheduler));
  scheduler.add(2, 5);
  EXPECT_THAT(step(scheduler).runs, ElementsAre(PlannedRun{1, 10, 1}, PlannedRun{2, 0, 5}));
}

TEST(SchedulerTest, OnlySoManyRunSideBySideFirstComeFirstServed) {
  Scheduler scheduler(2, kPlenty);
  for (RequestId id = 1; id <= 3; ++id) scheduler.add(id, 4);
  grow(scheduler, step(scheduler));
  EXPECT_EQ(scheduler.waiting(), 1u);
  scheduler.remove(1);
  EXPECT_THAT(step(scheduler).runs, ElementsAre(PlannedRun{2, 4, 1}, PlannedRun{3, 0, 4}));
}

TEST(SchedulerTest, ARemovedRequestIsPlannedNoMore) {
  Scheduler scheduler(4, kPlenty);
  scheduler.add(1, 4);
  scheduler.add(2, 4);
  scheduler.remove(1);  // while it waits
  const StepPlan plan = scheduler.plan(kPlenty);
  EXPECT_THAT(plan.runs, ElementsAre(PlannedRun{2, 0, 4}));
  scheduler.remove(2);  // between plan and record
  scheduler.record(plan);
  EXPECT_EQ(scheduler.positions_held(), 0u);
  EXPECT_TRUE(scheduler.plan(kPlenty).empty());
}

TEST(SchedulerTest, AfterAnExpansionWhatLiesBehindItIsComputedAgain) {
  Scheduler scheduler(4, kPlenty);
  scheduler.add(1, 10);
  step(scheduler);
  scheduler.change(1, 13, 6);
  EXPECT_THAT(step(scheduler).runs, ElementsAre(PlannedRun{1, 6, 7}));
}

TEST(SchedulerTest, LongPromptsShareAStepWithTheTokensOfOthers) {
  Scheduler scheduler(4, 10);
  scheduler.add(1, 4);
  grow(scheduler, step(scheduler));
  scheduler.add(2, 25);
  scheduler.add(3, 3);
  StepPlan plan = step(scheduler);
  EXPECT_THAT(plan.runs, ElementsAre(PlannedRun{1, 4, 1}, PlannedRun{2, 0, 9}));
  scheduler.change(1, 6, 5);
  EXPECT_THAT(step(scheduler).runs, ElementsAre(PlannedRun{1, 5, 1}, PlannedRun{2, 9, 9}));
  EXPECT_THAT(step(scheduler).runs, ElementsAre(PlannedRun{2, 18, 7}, PlannedRun{3, 0, 3}));
  EXPECT_TRUE(scheduler.plan(kPlenty).empty());
}

TEST(SchedulerTest, PromptsGoOnWhereTokensAloneFillAStep) {
  Scheduler scheduler(4, 1);
  scheduler.add(1, 1);
  grow(scheduler, step(scheduler));
  scheduler.add(2, 2);
  EXPECT_THAT(step(scheduler).runs, ElementsAre(PlannedRun{1, 1, 1}, PlannedRun{2, 0, 1}));
}

TEST(SchedulerTest, ARequestThatDoesNotFitWaitsAndNobodyOvertakesIt) {
  Scheduler scheduler(4, kPlenty);
  scheduler.add(1, 50);
  grow(scheduler, step(scheduler, 100));
  scheduler.add(2, 60);
  scheduler.add(3, 5);
  EXPECT_THAT(step(scheduler, 100).runs, ElementsAre(PlannedRun{1, 50, 1}));
  scheduler.remove(1);
  EXPECT_THAT(step(scheduler, 100).runs, ElementsAre(PlannedRun{2, 0, 60}, PlannedRun{3, 0, 5}));
}

TEST(SchedulerTest, WhereMemoryRunsOutTheYoungestGivesWayAndIsComputedAgainLater) {
  Scheduler scheduler(4, kPlenty);
  scheduler.add(1, 40);
  scheduler.add(2, 40);
  StepPlan plan = step(scheduler, 100);
  ASSERT_EQ(plan.runs.size(), 2u);
  while (plan.preempted.empty()) {
    grow(scheduler, plan);
    plan = step(scheduler, 100);
  }
  EXPECT_THAT(plan.preempted, ElementsAre(2u));
  EXPECT_THAT(plan.runs, ElementsAre(PlannedRun{1, 50, 1}));
  EXPECT_EQ(scheduler.positions_held(), 51u);
  scheduler.remove(1);
  EXPECT_THAT(step(scheduler, 100).runs, ElementsAre(PlannedRun{2, 0, 51}));
}

TEST(SchedulerTest, WhoWasSentBackComesBeforeThoseThatArrivedLater) {
  Scheduler scheduler(4, kPlenty);
  scheduler.add(1, 40);
  scheduler.add(2, 40);
  step(scheduler, 100);
  scheduler.add(3, 5);
  scheduler.change(1, 70, 40);
  EXPECT_THAT(step(scheduler, 100).preempted, ElementsAre(2u));
  EXPECT_TRUE(scheduler.plan(30).empty()) << "3 would fit, but 2 waits before it";
}

TEST(SchedulerTest, NobodyJoinsAMemoryThatIsFullAtTheNextToken) {
  Scheduler scheduler(4, kPlenty);
  scheduler.add(1, 50);
  grow(scheduler, step(scheduler, 100));
  scheduler.add(2, 48);
  EXPECT_THAT(step(scheduler, 100).runs, ElementsAre(PlannedRun{1, 50, 1}));
}

TEST(SchedulerTest, EveryRequestEndsHoweverTightTheMemory) {
  constexpr std::size_t kCapacity = 64;
  constexpr std::size_t kTokens = 30;
  Scheduler scheduler(3, kPlenty);
  std::map<RequestId, std::size_t> length;
  for (RequestId id = 1; id <= 12; ++id) scheduler.add(id, length[id] = 10 + id);
  std::size_t steps = 0;
  std::vector<RequestId> ended;
  while (ended.size() < 12) {
    ASSERT_LT(++steps, 12 * 3 * kTokens);
    const StepPlan plan = step(scheduler, kCapacity);
    ASSERT_FALSE(plan.empty());
    ASSERT_LE(scheduler.positions_held(), kCapacity);
    for (const PlannedRun& run : plan.runs) {
      ASSERT_EQ(run.start + run.count, length[run.id]);
      if (++length[run.id] < 10 + run.id + kTokens) {
        scheduler.change(run.id, length[run.id], length[run.id] - 1);
      } else {
        scheduler.remove(run.id);
        ended.push_back(run.id);
      }
    }
  }
  EXPECT_EQ(ended.front(), 1u);
}

TEST(SchedulerTest, MistakesOfItsCallerAreErrors) {
  Scheduler scheduler(1, kPlenty);
  EXPECT_THROW(scheduler.add(1, 0), Error);
  EXPECT_THROW(scheduler.change(7, 1, 0), Error);
  EXPECT_EQ(scheduler.computed(7), 0u);
}

}  // namespace
}  // namespace refrag

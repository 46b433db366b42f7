#pragma once
#include <cstddef>
#include <vector>

#include "refrag/engine.h"

namespace refrag {

/// One request's share of a step: entries [start, start + count) are computed.
struct PlannedRun {
  RequestId id = 0;
  std::size_t start = 0;
  std::size_t count = 0;
  bool operator==(const PlannedRun&) const = default;
};

/// What the next step does. Preempted requests lose their KV cache and wait again.
struct StepPlan {
  std::vector<PlannedRun> runs;
  std::vector<RequestId> preempted;
  bool empty() const { return runs.empty(); }
};

/// Decides which sequences run in the next step; touches no tensor, clock or thread. First come, first served: nobody
/// overtakes in the queue, and where KV memory runs out the youngest give way, so that the oldest always goes on.
/// Prefill, decode and the prefill after an expansion are one case: `computed` catches up with `length`.
class Scheduler {
 public:
  /// A step computes up to `max_step_positions`: of each sequence that only lacks its next token that one, then of the
  /// others, oldest first, what there is room for. So no long prompt holds up the tokens of others for long.
  Scheduler(std::size_t max_running, std::size_t max_step_positions)
      : max_running_(max_running), max_step_positions_(max_step_positions) {}

  /// Joins the end of the queue with a sequence of `length` entries.
  void add(RequestId id, std::size_t length);
  /// Leaves: ended, failed or cancelled. Unknown ids are passed over.
  void remove(RequestId id);
  /// The sequence has `length` entries now, of which those before `valid` are as they were.
  void change(RequestId id, std::size_t length, std::size_t valid);

  /// A pure function of the queue and of how many more positions the KV memory takes. A plan is empty only if nothing
  /// is left to compute or the first in line does not fit into memory that others, outside the queue, hold.
  StepPlan plan(std::size_t free_positions) const;
  /// `plan` was carried out.
  void record(const StepPlan& plan);

  std::size_t positions_held() const;        // by all sequences together, in the KV memory
  std::size_t computed(RequestId id) const;  // 0 for an unknown id
  std::size_t running() const;
  std::size_t waiting() const { return sequences_.size() - running(); }

 private:
  struct Sequence {
    RequestId id = 0;
    std::size_t length = 0;
    std::size_t computed = 0;
    bool is_running = false;
  };
  std::vector<Sequence> sequences_;  // in order of arrival, whether they run or wait
  std::vector<PlannedRun> share_step(const std::vector<const Sequence*>& members) const;

  std::size_t max_running_;
  std::size_t max_step_positions_;
};

}  // namespace refrag

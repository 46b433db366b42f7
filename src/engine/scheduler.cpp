#include "engine/scheduler.h"

#include <algorithm>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

/// Positions that must stay free for each running sequence before another joins: without them a sequence would join a
/// full memory, be preempted at the next token and be computed from nothing again and again.
constexpr std::size_t kHeadroom = 16;

template <typename Sequences>
auto find(Sequences& sequences, RequestId id) {
  return std::find_if(sequences.begin(), sequences.end(), [id](const auto& sequence) { return sequence.id == id; });
}

}  // namespace

void Scheduler::add(RequestId id, std::size_t length) {
  if (length == 0) throw Error(ErrorCode::kInternal, message("request ", id, " has no entries"));
  sequences_.push_back({id, length, 0, false});
}

void Scheduler::remove(RequestId id) {
  std::erase_if(sequences_, [id](const Sequence& sequence) { return sequence.id == id; });
}

void Scheduler::change(RequestId id, std::size_t length, std::size_t valid) {
  const auto found = find(sequences_, id);
  if (found == sequences_.end()) throw Error(ErrorCode::kInternal, message("request ", id, " is not scheduled"));
  found->length = length;
  found->computed = std::min(found->computed, valid);
}

StepPlan Scheduler::plan(std::size_t free_positions) const {
  StepPlan plan;
  std::vector<const Sequence*> members;
  std::size_t needed = 0;
  for (const Sequence& sequence : sequences_) {
    if (!sequence.is_running) continue;
    members.push_back(&sequence);
    needed += sequence.length - sequence.computed;
  }
  while (needed > free_positions && members.size() > 1) {  // the oldest is never sent back
    const Sequence& youngest = *members.back();
    needed -= youngest.length - youngest.computed;
    free_positions += youngest.computed;
    plan.preempted.push_back(youngest.id);
    members.pop_back();
  }
  if (needed > free_positions) return plan;
  free_positions -= needed;
  for (const Sequence& sequence : sequences_) {
    if (sequence.is_running) continue;
    // Who was sent back in this very step waits for the next; nobody behind it may overtake.
    if (!plan.preempted.empty() || members.size() >= max_running_) break;
    const std::size_t headroom = kHeadroom * members.size();
    if (sequence.length + headroom > free_positions) break;
    free_positions -= sequence.length;
    members.push_back(&sequence);
  }
  plan.runs = share_step(members);
  return plan;
}

std::vector<PlannedRun> Scheduler::share_step(const std::vector<const Sequence*>& members) const {
  const auto decodes = [](const Sequence* sequence) { return sequence->length - sequence->computed == 1; };
  const auto decoding = static_cast<std::size_t>(std::count_if(members.begin(), members.end(), decodes));
  std::size_t left = max_step_positions_ > decoding ? max_step_positions_ - decoding : 1;  // for prefill
  std::vector<PlannedRun> runs;
  for (const Sequence* sequence : members) {
    std::size_t count = sequence->length - sequence->computed;
    if (!decodes(sequence)) {
      count = std::min(count, left);
      left -= count;
    }
    if (count > 0) runs.push_back({sequence->id, sequence->computed, count});
  }
  return runs;
}

void Scheduler::record(const StepPlan& plan) {
  for (const RequestId id : plan.preempted) {
    const auto found = find(sequences_, id);
    if (found == sequences_.end()) continue;
    found->computed = 0;
    found->is_running = false;
  }
  for (const PlannedRun& run : plan.runs) {
    const auto found = find(sequences_, run.id);
    if (found == sequences_.end()) continue;
    found->computed = run.start + run.count;
    found->is_running = true;
  }
}

std::size_t Scheduler::positions_held() const {
  std::size_t held = 0;
  for (const Sequence& sequence : sequences_) held += sequence.computed;
  return held;
}

std::size_t Scheduler::computed(RequestId id) const {
  const auto found = find(sequences_, id);
  return found == sequences_.end() ? 0 : found->computed;
}

std::size_t Scheduler::running() const {
  return static_cast<std::size_t>(std::count_if(sequences_.begin(), sequences_.end(),
                                                [](const Sequence& sequence) { return sequence.is_running; }));
}

}  // namespace refrag

#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/phase_clock.h"
#include "engine/preparation.h"
#include "engine/stop_matcher.h"
#include "refrag/query.h"
#include "text/tokenizer.h"

namespace refrag {

/// One answer in the making: from the logits behind the last entry to the next token, its text and its events, or to
/// chunks that are expanded first. Emitted tokens are never revised. Not thread-safe.
class Generation {
 public:
  using Emit = std::function<void(const Event&)>;

  /// `clock` started when the request arrived. `max_positions`: the longest sequence that can be computed.
  Generation(Query query, PreparedRequest prepared, PhaseClock clock, std::shared_ptr<const ModelRunner> runner,
             std::size_t max_positions, Emit emit);

  const MixedInput& input() const { return prepared_.input; }
  const Matrix& vectors() const { return prepared_.projected; }
  /// Room to begin with: the prompt and some tokens. Most answers are far shorter than they may be.
  std::size_t expected_positions() const;

  /// Its entries are about to be computed from the first: until its first token, that is where waiting ends.
  void begin();

  /// What became of the sequence: entries before `valid` are as they were.
  struct Progress {
    bool is_finished = false;
    std::size_t valid = 0;
  };
  /// `logits` [vocab] of the last entry.
  Progress take(std::span<const float> logits);

  /// The answer as far as it has come; `take` has set the reason where it ended by itself.
  Answer finish();
  Answer finish(FinishReason reason);

 private:
  Answer& answer() { return prepared_.answer; }
  bool wants_look(std::span<const float> logits) const;
  bool can_expand() const;
  const Matrix& encode_question();
  std::optional<std::size_t> expand_best_chunks();
  std::vector<std::size_t> choose_chunks(const Ranking& ranking) const;
  void deliver(TokenId id, std::string text, std::span<const float> logits);
  void note_token_time();
  std::string without_leading_space(std::string text);

  Query query_;
  PreparedRequest prepared_;
  PhaseClock clock_;
  std::shared_ptr<const ModelRunner> runner_;
  std::size_t max_positions_;
  Emit emit_;
  IncrementalDecoder decoder_;
  StopMatcher stops_;
  std::size_t generated_ = 0;             // tokens of the sequence; the final one never joins it
  std::optional<std::size_t> looked_at_;  // the token before which chunks were reconsidered last
  Matrix question_;                       // vectors of what the policy read at the last look...
  std::size_t question_ids_ = 0;          // ...and how many tokens that was
  bool at_start_ = true;                  // nothing but white space has come so far
  double last_token_ms_ = 0;
};

}  // namespace refrag

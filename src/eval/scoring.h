#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "engine/mixed_input.h"
#include "engine/model_runner.h"

namespace refrag {

/// A sequence of the runner that is closed with the scope.
class OpenSequence {
 public:
  OpenSequence(ModelRunner& runner, std::size_t positions) : runner_(runner), id_(runner.open_sequence(positions)) {}
  OpenSequence(const OpenSequence&) = delete;
  OpenSequence& operator=(const OpenSequence&) = delete;
  ~OpenSequence() { runner_.close_sequence(id_); }
  SequenceId id() const { return id_; }

 private:
  ModelRunner& runner_;
  SequenceId id_;
};

/// Negative log-likelihoods, nats, of the entries from `first` to the end, which are tokens; each given all entries
/// before it. `first` is 1 or more. Logits are made for some hundred positions at a time.
std::vector<double> token_losses(ModelRunner& runner, std::span<const Entry> entries, const Matrix* vectors,
                                 std::size_t first);

/// Log-perplexity of each chunk, nats a token, of an input that has all of them as tokens. A token at the very
/// beginning of the input has nothing that predicts it and does not count.
std::vector<double> chunk_losses(ModelRunner& runner, const MixedInput& input);

}  // namespace refrag

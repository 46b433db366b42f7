#pragma once
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "base/token.h"
#include "refrag/query.h"

namespace refrag {

/// Probabilities of the next token, in the order of transformers' logits processors: repetition penalty, temperature
/// (1 where it is 0), top-k (all that tie with the k-th stay), top-p, min-p, softmax. `history` are the token ids that
/// the penalty counts, prompt included. Throws kInternal for logits that are not numbers.
std::vector<float> next_token_probabilities(std::span<const float> logits, std::span<const TokenId> history,
                                            const SamplingOptions& options);

/// Token `index` of an answer: the most likely one (of equals the first) at temperature 0, else drawn. The draw depends
/// on (seed, index) alone, never on other requests or on how steps were cut.
TokenId pick_token(std::span<const float> logits, std::span<const TokenId> history, const SamplingOptions& options,
                   std::size_t index);

/// A uniform number in [0, 1) that depends on (seed, counter) alone.
double uniform_at(std::uint64_t seed, std::uint64_t counter);

/// The model's own distribution, before penalties and temperature: what log-probabilities and entropy are told of (as
/// vLLM's default).
class RawDistribution {
 public:
  explicit RawDistribution(std::span<const float> logits);
  double logprob(TokenId token) const;
  /// The `count` most likely tokens, best first; of equals the lower id first.
  std::vector<std::pair<TokenId, double>> top(std::size_t count) const;
  double entropy() const;  // nats

 private:
  std::span<const float> logits_;
  double log_sum_;
};

}  // namespace refrag

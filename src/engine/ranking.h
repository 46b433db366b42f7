#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/model_runner.h"
#include "refrag/query.h"

namespace refrag {

/// The chunks of a prompt in the order in which they would be expanded.
struct Ranking {
  std::vector<std::size_t> order;             // chunks, best first; of equals the earlier chunk first
  std::vector<std::optional<double>> scores;  // by chunk; absent for rules that do not score

  std::vector<std::size_t> ranks() const;  // by chunk, from 1
};

Ranking rank_by_scores(std::span<const float> scores);
Ranking rank_first(std::size_t chunks);
Ranking rank_random(std::size_t chunks, std::uint64_t seed);
/// Cosine of each chunk vector with the mean of the question's.
Ranking rank_by_similarity(const Matrix& question, const Matrix& context);

/// What the rules look at. `projected` may be null; `question` and `context` are not projected.
struct RankingInput {
  const Matrix& question;
  const Matrix& context;
  const Matrix* projected = nullptr;
};

/// By the rule that a query names; kIds ranks as the policy does (for chunks that are expanded while decoding).
Ranking rank_chunks(ExpandBy rule, const RankingInput& input, std::uint64_t seed, const ModelRunner& runner);
/// Whether a rule reads the question's chunk vectors.
bool reads_question(ExpandBy rule);

}  // namespace refrag

#include "engine/ranking.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/message.h"
#include "engine/sampler.h"
#include "refrag/error.h"

namespace refrag {
namespace {

std::vector<std::size_t> in_order(std::size_t chunks) {
  std::vector<std::size_t> order(chunks);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

template <typename Values>
std::vector<std::size_t> largest_first(const Values& values) {
  std::vector<std::size_t> order = in_order(values.size());
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
  return order;
}

}  // namespace

std::vector<std::size_t> Ranking::ranks() const {
  std::vector<std::size_t> result(order.size());
  for (std::size_t n = 0; n < order.size(); ++n) result[order[n]] = n + 1;
  return result;
}

Ranking rank_by_scores(std::span<const float> scores) {
  if (std::any_of(scores.begin(), scores.end(), [](float score) { return std::isnan(score); })) {
    throw Error(ErrorCode::kInternal, "the model gave chunk scores that are not numbers");
  }
  return {largest_first(scores), {scores.begin(), scores.end()}};
}

Ranking rank_first(std::size_t chunks) { return {in_order(chunks), std::vector<std::optional<double>>(chunks)}; }

Ranking rank_random(std::size_t chunks, std::uint64_t seed) {
  std::vector<double> keys(chunks);
  for (std::size_t n = 0; n < chunks; ++n) keys[n] = uniform_at(seed, n);
  return {largest_first(keys), std::vector<std::optional<double>>(chunks)};
}

Ranking rank_by_similarity(const Matrix& question, const Matrix& context) {
  std::vector<double> mean(context.width, 0.0);  // its length does not matter: cosines are compared
  for (std::size_t n = 0; n < question.rows; ++n) {
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] += question.row(n)[i];
  }
  const double mean_norm = std::sqrt(std::inner_product(mean.begin(), mean.end(), mean.begin(), 0.0));
  std::vector<float> scores(context.rows);
  for (std::size_t n = 0; n < context.rows; ++n) {
    const std::span<const float> row = context.row(n);
    const double norm = std::sqrt(std::inner_product(row.begin(), row.end(), row.begin(), 0.0));
    const double product = std::inner_product(row.begin(), row.end(), mean.begin(), 0.0);
    scores[n] = norm * mean_norm > 0 ? static_cast<float>(product / (norm * mean_norm)) : 0.0f;
  }
  return rank_by_scores(scores);
}

Ranking rank_chunks(ExpandBy rule, const RankingInput& input, std::uint64_t seed, const ModelRunner& runner) {
  switch (rule) {
    case ExpandBy::kFirst:
      return rank_first(input.context.rows);
    case ExpandBy::kRandom:
      return rank_random(input.context.rows, seed);
    case ExpandBy::kSimilarity:
      return rank_by_similarity(input.question, input.context);
    case ExpandBy::kPolicy:
    case ExpandBy::kIds:
      break;
  }
  const std::vector<float> scores = runner.score_chunks(input.question, input.context, input.projected);
  if (scores.size() != input.context.rows) {
    throw Error(ErrorCode::kInternal,
                message("the policy gave ", scores.size(), " scores for ", input.context.rows, " chunks"));
  }
  return rank_by_scores(scores);
}

bool reads_question(ExpandBy rule) { return rule != ExpandBy::kFirst && rule != ExpandBy::kRandom; }

}  // namespace refrag

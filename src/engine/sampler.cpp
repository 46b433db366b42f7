#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr float kRemoved = -std::numeric_limits<float>::infinity();

float largest(std::span<const float> logits) {
  float best = kRemoved;
  for (const float logit : logits) {
    if (std::isnan(logit)) throw Error(ErrorCode::kInternal, "the model gave logits that are not numbers");
    best = std::max(best, logit);
  }
  if (!std::isfinite(best)) throw Error(ErrorCode::kInternal, "the model gave no finite logit");
  return best;
}

TokenId most_likely(std::span<const float> logits) {  // of equals the first
  return static_cast<TokenId>(std::find(logits.begin(), logits.end(), largest(logits)) - logits.begin());
}

void softmax(std::vector<float>& logits) {
  const float best = largest(logits);
  double sum = 0;
  for (float& logit : logits) sum += logit = std::exp(logit - best);
  for (float& probability : logits) probability = static_cast<float>(probability / sum);
}

void penalize_repetition(std::vector<float>& logits, std::span<const TokenId> history, double penalty) {
  std::vector<bool> seen(logits.size(), false);
  for (const TokenId token : history) {
    const auto n = static_cast<std::size_t>(token);
    if (token < 0 || n >= logits.size() || seen[n]) continue;
    seen[n] = true;
    logits[n] = static_cast<float>(logits[n] < 0 ? logits[n] * penalty : logits[n] / penalty);
  }
}

void keep_top_k(std::vector<float>& logits, std::size_t k) {
  if (k >= logits.size()) return;
  std::vector<float> sorted = logits;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(k - 1), sorted.end(), std::greater<>());
  const float least = sorted[k - 1];
  for (float& logit : logits) {
    if (logit < least) logit = kRemoved;
  }
}

/// The smallest set of most likely tokens whose probabilities reach `top_p`; of equals the lower ids go in first.
void keep_top_p(std::vector<float>& logits, double top_p) {
  std::vector<float> probabilities = logits;
  softmax(probabilities);
  // All tokens below this bound do not reach 1 - top_p together, so they go without being sorted: of a vocabulary of
  // 128,000 few are left.
  const double negligible = (1 - top_p) / 2 / static_cast<double>(logits.size());  // halved: floats are rounded
  std::vector<std::size_t> ascending;
  double below = 0;
  for (std::size_t n = logits.size(); n-- > 0;) {
    if (probabilities[n] >= negligible) {
      ascending.push_back(n);
    } else {
      below += probabilities[n];
      logits[n] = kRemoved;
    }
  }
  std::stable_sort(ascending.begin(), ascending.end(),
                   [&](std::size_t a, std::size_t b) { return logits[a] < logits[b]; });
  for (std::size_t n = 0; n + 1 < ascending.size(); ++n) {  // the most likely token always stays
    below += probabilities[ascending[n]];
    if (below > 1 - top_p) break;
    logits[ascending[n]] = kRemoved;
  }
}

void keep_min_p(std::vector<float>& logits, double min_p) {
  // p < min_p * best, in logarithms: the most likely token always stays, since min_p is at most 1.
  const double least = largest(logits) + std::log(min_p);
  for (float& logit : logits) {
    if (logit < least) logit = kRemoved;
  }
}

}  // namespace

std::vector<float> next_token_probabilities(std::span<const float> logits, std::span<const TokenId> history,
                                            const SamplingOptions& options) {
  std::vector<float> result(logits.begin(), logits.end());
  if (options.repetition_penalty != 1) penalize_repetition(result, history, options.repetition_penalty);
  if (options.temperature > 0 && options.temperature != 1) {
    const float best = largest(result);  // taken off first: a tiny temperature must not overflow to infinity
    for (float& logit : result) logit = static_cast<float>((logit - best) / options.temperature);
  }
  if (options.top_k > 0) keep_top_k(result, options.top_k);
  if (options.top_p < 1) keep_top_p(result, options.top_p);
  if (options.min_p > 0) keep_min_p(result, options.min_p);
  softmax(result);
  return result;
}

TokenId pick_token(std::span<const float> logits, std::span<const TokenId> history, const SamplingOptions& options,
                   std::size_t index) {
  if (options.temperature == 0) {
    if (options.repetition_penalty == 1) return most_likely(logits);
    std::vector<float> penalized(logits.begin(), logits.end());
    penalize_repetition(penalized, history, options.repetition_penalty);
    return most_likely(penalized);
  }
  const std::vector<float> probabilities = next_token_probabilities(logits, history, options);
  double left = uniform_at(options.seed, index) * std::accumulate(probabilities.begin(), probabilities.end(), 0.0);
  TokenId last_possible = 0;
  for (std::size_t n = 0; n < probabilities.size(); ++n) {
    if (probabilities[n] == 0) continue;
    last_possible = static_cast<TokenId>(n);
    left -= probabilities[n];
    if (left < 0) break;
  }
  return last_possible;
}

double uniform_at(std::uint64_t seed, std::uint64_t counter) {
  // SplitMix64 (Steele, Lea, Flood 2014) of the seed, jumped to `counter`, mixed twice so that near seeds part.
  const auto mixed = [](std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
  };
  constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15ull;
  const std::uint64_t bits = mixed(mixed(seed + kGolden) + (counter + 1) * kGolden);
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

RawDistribution::RawDistribution(std::span<const float> logits) : logits_(logits) {
  const double best = largest(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - best);
  log_sum_ = best + std::log(sum);
}

double RawDistribution::logprob(TokenId token) const { return logits_[static_cast<std::size_t>(token)] - log_sum_; }

std::vector<std::pair<TokenId, double>> RawDistribution::top(std::size_t count) const {
  std::vector<TokenId> ids(logits_.size());
  std::iota(ids.begin(), ids.end(), 0);
  count = std::min(count, ids.size());
  const auto better = [this](TokenId a, TokenId b) {
    const float left = logits_[static_cast<std::size_t>(a)];
    const float right = logits_[static_cast<std::size_t>(b)];
    return left != right ? left > right : a < b;
  };
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), ids.end(), better);
  std::vector<std::pair<TokenId, double>> result;
  for (std::size_t n = 0; n < count; ++n) result.emplace_back(ids[n], logprob(ids[n]));
  return result;
}

double RawDistribution::entropy() const {
  double sum = 0;
  for (const float logit : logits_) {
    const double log_probability = logit - log_sum_;
    const double probability = std::exp(log_probability);
    if (probability > 0) sum -= probability * log_probability;
  }
  return sum;
}

}  // namespace refrag

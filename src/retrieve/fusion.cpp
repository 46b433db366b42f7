#include "retrieve/fusion.h"

#include <algorithm>
#include <map>
#include <utility>

namespace refrag {
namespace {

RankedScore ranked(const ScoredPassage& found, std::size_t index) { return {.score = found.score, .rank = index + 1}; }

std::vector<Candidate> from_one(const std::vector<ScoredPassage>& found,
                                std::optional<RankedScore> Candidate::*search) {
  std::vector<Candidate> candidates;
  candidates.reserve(found.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    Candidate candidate{.key = found[i].key, .score = found[i].score, .dense = {}, .lexical = {}};
    candidate.*search = ranked(found[i], i);
    candidates.push_back(candidate);
  }
  return candidates;
}

}  // namespace

std::vector<Candidate> from_dense(const std::vector<ScoredPassage>& dense) {
  return from_one(dense, &Candidate::dense);
}

std::vector<Candidate> from_lexical(const std::vector<ScoredPassage>& lexical) {
  return from_one(lexical, &Candidate::lexical);
}

std::vector<Candidate> fuse(const std::vector<ScoredPassage>& dense, const std::vector<ScoredPassage>& lexical,
                            double constant) {
  std::map<PassageKey, Candidate> by_key;
  const auto add = [&](const Candidate& found, std::optional<RankedScore> Candidate::*search) {
    Candidate& candidate = by_key[found.key];
    candidate.key = found.key;
    candidate.*search = found.*search;
    candidate.score += 1 / (constant + static_cast<double>((found.*search)->rank));
  };
  for (const Candidate& found : from_dense(dense)) {
    add(found, &Candidate::dense);
  }
  for (const Candidate& found : from_lexical(lexical)) {
    add(found, &Candidate::lexical);
  }
  std::vector<Candidate> fused;
  fused.reserve(by_key.size());
  for (auto& [key, candidate] : by_key) {
    fused.push_back(candidate);
  }
  // Stable, from the order of the keys.
  std::stable_sort(fused.begin(), fused.end(),
                   [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  return fused;
}

}  // namespace refrag

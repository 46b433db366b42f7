#pragma once
#include <cstddef>
#include <optional>
#include <vector>

#include "refrag/query.h"
#include "store/snapshot.h"

namespace refrag {

/// A passage and how each search found it.
struct Candidate {
  PassageKey key;
  double score = 0;
  std::optional<RankedScore> dense;
  std::optional<RankedScore> lexical;
};

/// The result of one search, keeping its own scores.
std::vector<Candidate> from_dense(const std::vector<ScoredPassage>& dense);
std::vector<Candidate> from_lexical(const std::vector<ScoredPassage>& lexical);

/// Both by reciprocal rank fusion (Cormack et al. 2009): a passage scores the sum of 1 / (constant + rank) over the
/// searches that found it. Best first; ties are broken by the place of the passage in the base.
std::vector<Candidate> fuse(const std::vector<ScoredPassage>& dense, const std::vector<ScoredPassage>& lexical,
                            double constant);

}  // namespace refrag

#pragma once
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "refrag/query.h"
#include "retrieve/fusion.h"
#include "store/snapshot.h"

namespace refrag {

/// A text to its normalized passage vector. The caller brings it: retrieval knows no model.
using EmbedText = std::function<std::vector<float>(const std::string& text)>;
/// Relevance of each text to the query, higher is better.
using RerankTexts = std::function<std::vector<float>(const std::string& query, const std::vector<std::string>& texts)>;

struct RetrieverOptions {
  RetrieveMode default_mode = RetrieveMode::kHybrid;
  std::size_t candidates = 64;  // of each search, before fusion
  double fusion_constant = 60;  // reciprocal rank fusion: 1 / (constant + rank) (Cormack et al. 2009)
  double near_duplicate_overlap =
      0.9;                             // share of common word 5-grams (Jaccard) from which on two passages count as one
  std::size_t rerank_candidates = 32;  // that the reranker reads, at least top_k
};

/// A passage that was found, with what a Hit shows and where its chunks are.
struct RetrievedPassage {
  StoredPassage passage;
  double score = 0;
  std::optional<RankedScore> dense;
  std::optional<RankedScore> lexical;
  std::optional<RankedScore> rerank;
};

/// Dense and lexical search, fused by reciprocal rank; near duplicates collapsed into the best ranked; reranked where
/// the bundle can. A single search keeps its own scores as `score`; a `min_score` of 0 keeps all, negative scores too.
/// Stateless; thread-safe if its functions are.
class Retriever {
 public:
  /// `embed` may be empty (no dense search: asking for it throws kUnsupported), `rerank` too.
  Retriever(EmbedText embed, RerankTexts rerank, RetrieverOptions options = {});
  /// Best first, at most top_k; ties in the order of the base. Throws kInvalidArgument naming the field, and
  /// kUnsupported ("retrieve.mode") where dense search is asked for and the base or the model has none; a hybrid
  /// default is lexical then.
  std::vector<RetrievedPassage> search(const Snapshot& snapshot, const std::string& query,
                                       const RetrieveOptions& options) const;

 private:
  RetrieveMode mode_for(const Snapshot& snapshot, const RetrieveOptions& options) const;
  std::vector<Candidate> find(const Snapshot& snapshot, const std::string& query, const RetrieveOptions& options) const;
  void rerank(const std::string& query, std::vector<RetrievedPassage>& passages) const;

  EmbedText embed_;
  RerankTexts rerank_;
  RetrieverOptions options_;
};

Hit to_hit(const RetrievedPassage& found);

}  // namespace refrag

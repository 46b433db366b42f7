#include "retrieve/retriever.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"
#include "retrieve/near_duplicates.h"

namespace refrag {
namespace {

constexpr std::size_t kPassagesALoad = 16;  // texts are loaded as they are needed: most candidates are never shown

void check(const std::string& query, const RetrieveOptions& options) {
  if (query.find_first_not_of(" \t\r\n\f\v") == std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument, "query is blank; expected words to search for", "query");
  }
  if (!std::isfinite(options.min_score)) {
    throw Error(ErrorCode::kInvalidArgument,
                message("retrieve.min_score is ", options.min_score, "; expected a finite number"),
                "retrieve.min_score");
  }
}

// The best `count` candidates as passages, without those that repeat a better one.
std::vector<RetrievedPassage> load(const Snapshot& snapshot, std::span<const Candidate> candidates, std::size_t count,
                                   double near_duplicate_overlap) {
  std::vector<RetrievedPassage> passages;
  NearDuplicates seen(near_duplicate_overlap);
  while (!candidates.empty() && passages.size() < count) {
    const auto some = candidates.first(std::min(candidates.size(), std::max(kPassagesALoad, count - passages.size())));
    candidates = candidates.subspan(some.size());
    std::vector<PassageKey> keys;
    std::transform(some.begin(), some.end(), std::back_inserter(keys), [](const Candidate& c) { return c.key; });
    std::vector<StoredPassage> stored = snapshot.passages(keys);
    for (std::size_t i = 0; i < some.size() && passages.size() < count; ++i) {
      if (!seen.repeats(stored[i].text)) {
        passages.push_back({.passage = std::move(stored[i]),
                            .score = some[i].score,
                            .dense = some[i].dense,
                            .lexical = some[i].lexical,
                            .rerank = {}});
      }
    }
  }
  return passages;
}

}  // namespace

Retriever::Retriever(EmbedText embed, RerankTexts rerank, RetrieverOptions options)
    : embed_(std::move(embed)), rerank_(std::move(rerank)), options_(options) {}

std::vector<RetrievedPassage> Retriever::search(const Snapshot& snapshot, const std::string& query,
                                                const RetrieveOptions& options) const {
  if (options.top_k == 0) {
    return {};
  }
  check(query, options);
  std::vector<Candidate> candidates = find(snapshot, query, options);
  if (options.min_score != 0) {
    std::erase_if(candidates, [&](const Candidate& candidate) { return candidate.score < options.min_score; });
  }
  const std::size_t wanted = rerank_ ? std::max(options.top_k, options_.rerank_candidates) : options.top_k;
  std::vector<RetrievedPassage> passages = load(snapshot, candidates, wanted, options_.near_duplicate_overlap);
  if (rerank_ && !passages.empty()) {
    rerank(query, passages);
  }
  passages.resize(std::min(passages.size(), options.top_k));
  return passages;
}

RetrieveMode Retriever::mode_for(const Snapshot& snapshot, const RetrieveOptions& options) const {
  const RetrieveMode mode = options.mode.value_or(options_.default_mode);
  const bool base_has_vectors = snapshot.schema().passage_width > 0;
  if (mode == RetrieveMode::kLexical || (embed_ && base_has_vectors)) {
    return mode;
  }
  if (!options.mode && mode == RetrieveMode::kHybrid) {
    return RetrieveMode::kLexical;
  }
  throw Error(ErrorCode::kUnsupported,
              message("retrieve.mode is ", name_of(mode), ", but ",
                      base_has_vectors ? "the model has no retriever" : "the knowledge base has no passage vectors",
                      "; expected lexical"),
              "retrieve.mode");
}

std::vector<Candidate> Retriever::find(const Snapshot& snapshot, const std::string& query,
                                       const RetrieveOptions& options) const {
  const RetrieveMode mode = mode_for(snapshot, options);
  // Near duplicates and passages that only one search finds take places: more candidates than are wanted.
  const std::size_t most = snapshot.passage_count();
  if (most == 0) {
    return {};
  }
  const std::size_t count = std::min(most, std::max(options_.candidates, 2 * std::min(options.top_k, most)));
  std::vector<ScoredPassage> dense;
  std::vector<ScoredPassage> lexical;
  if (mode != RetrieveMode::kLexical) {
    dense = snapshot.search_dense(embed_(query), count, options.filter);
  }
  if (mode != RetrieveMode::kDense) {
    lexical = snapshot.search_lexical(query, count, options.filter);
  }
  switch (mode) {
    case RetrieveMode::kDense:
      return from_dense(dense);
    case RetrieveMode::kLexical:
      return from_lexical(lexical);
    case RetrieveMode::kHybrid:
      break;
  }
  return fuse(dense, lexical, options_.fusion_constant);
}

void Retriever::rerank(const std::string& query, std::vector<RetrievedPassage>& passages) const {
  std::vector<std::string> texts;
  std::transform(passages.begin(), passages.end(), std::back_inserter(texts),
                 [](const RetrievedPassage& found) { return found.passage.text; });
  const std::vector<float> scores = rerank_(query, texts);
  if (scores.size() != passages.size()) {
    throw Error(ErrorCode::kInternal,
                message("the reranker gave ", scores.size(), " scores for ", passages.size(), " passages"));
  }
  for (std::size_t i = 0; i < passages.size(); ++i) {
    passages[i].rerank = RankedScore{.score = scores[i], .rank = 0};
  }
  std::stable_sort(passages.begin(), passages.end(), [](const RetrievedPassage& a, const RetrievedPassage& b) {
    return a.rerank->score > b.rerank->score;
  });
  for (std::size_t i = 0; i < passages.size(); ++i) {
    passages[i].rerank->rank = i + 1;
  }
}

Hit to_hit(const RetrievedPassage& found) {
  Hit hit;
  hit.document_id = found.passage.document_id;
  hit.passage_id = found.passage.passage_id;
  hit.title = found.passage.title;
  hit.text = found.passage.text;
  hit.start = found.passage.start;
  hit.end = found.passage.end;
  hit.score = found.score;
  hit.dense = found.dense;
  hit.lexical = found.lexical;
  hit.rerank = found.rerank;
  return hit;
}

}  // namespace refrag

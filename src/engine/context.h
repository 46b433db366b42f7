#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/token.h"
#include "engine/model_runner.h"
#include "engine/phase_clock.h"
#include "refrag/knowledge_base.h"
#include "refrag/query.h"
#include "retrieve/retriever.h"

namespace refrag {

/// A passage for a prompt: as it is shown, and as the decoder reads it.
struct ContextPassage {
  Hit hit;  // its chunks have their character ranges
  std::vector<std::vector<TokenId>> chunks;
  std::vector<float> vectors;  // [chunks, chunk_width]; empty where the mode needs none or `encode_missing` makes them
};

/// Makes the vectors that stored passages have and those that came with the query lack. `check` throws to end it early.
/// Returns how many.
std::size_t encode_missing(std::span<ContextPassage> passages, const ModelRunner& runner,
                           const std::function<void()>& check);

/// Brings the passages of a query: found in the knowledge base, or come with the query. Thread-safe.
class ContextSource {
 public:
  /// `knowledge_base` may be null.
  ContextSource(std::shared_ptr<const ModelRunner> runner, std::shared_ptr<KnowledgeBase> knowledge_base);

  /// Passages, best first. Charges `timings`' retrieve and lookup. Throws kIdentityMismatch where the query needs what
  /// the base cannot give, kInvalidArgument for a query that needs a base where there is none, and what `check` throws.
  std::vector<ContextPassage> gather(const Query& query, PhaseClock& clock, Timings& timings,
                                     const std::function<void()>& check) const;
  std::vector<Hit> search(const std::string& query, const RetrieveOptions& options) const;

 private:
  struct Found {
    Snapshot snapshot;
    std::vector<RetrievedPassage> passages;
  };
  std::vector<ContextPassage> retrieve(const Query& query, PhaseClock& clock, Timings& timings) const;
  Found find(const std::string& query, const RetrieveOptions& options) const;
  ContextPassage stored(const Snapshot& snapshot, RetrievedPassage found, bool needs_vectors) const;
  ContextPassage inlined(const InlinePassage& passage) const;
  void cut_again(ContextPassage& passage, std::size_t first_code_point) const;

  std::shared_ptr<const ModelRunner> runner_;
  std::shared_ptr<KnowledgeBase> knowledge_base_;
  Retriever retriever_;
};

}  // namespace refrag

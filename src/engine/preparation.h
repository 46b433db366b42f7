#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "engine/context.h"
#include "engine/latency_model.h"
#include "engine/mixed_input.h"
#include "engine/phase_clock.h"
#include "engine/prompt.h"
#include "engine/selection.h"

namespace refrag {

/// A request that is ready for the decoder.
struct PreparedRequest {
  MixedInput input;
  Matrix projected;  // [chunks, decoder_width]: what the input's rows mean; empty where it has none
  Answer answer;     // retrieval, citations, usage and timings as far as they are known
  /// Only for requests that may expand chunks while decoding:
  Matrix chunk_vectors;               // [chunks, chunk_width], in the order of the prompt
  std::vector<TokenId> policy_query;  // what the policy reads: the question, then also the tokens of the answer
};

/// Turns a query into what the decoder reads: passages, prompt, and which chunks are expanded. Thread-safe.
class Preparation {
 public:
  /// Hands out the latency model of prefills; may measure it first.
  using GetLatency = std::function<LatencyModel()>;

  /// `max_positions`: the longest prompt. Throws kInvalidArgument for a faulty prompt template.
  Preparation(std::shared_ptr<const ModelRunner> runner, std::shared_ptr<KnowledgeBase> knowledge_base,
              std::size_t max_positions, GetLatency latency);

  /// `check` is called between phases and throws to give up.
  PreparedRequest prepare(const Query& query, PhaseClock& clock, const std::function<void()>& check) const;
  const ContextSource& context_source() const { return source_; }

 private:
  struct Vectors;
  Vectors vectors_of(const Query& query, const PromptLayout& layout) const;
  Selection select(const Query& query, const PromptLayout& layout, const Vectors& vectors,
                   const PhaseClock& clock) const;

  std::shared_ptr<const ModelRunner> runner_;
  ContextSource source_;
  PromptWriter writer_;
  std::size_t max_positions_;
  GetLatency latency_;
};

bool may_expand_while_decoding(const Query& query);
/// Chunk vectors of what the policy reads, cut like a passage, [chunks, chunk_width].
Matrix encode_query(const std::vector<TokenId>& ids, const ModelRunner& runner);
/// The report of a chunk that is named by its place in the prompt; hits are always best first.
ChunkReport& report_of(ChunkRef ref, PassageOrder order, RetrievalReport& retrieval);

}  // namespace refrag

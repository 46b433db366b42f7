#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/token.h"
#include "refrag/knowledge_base.h"
#include "refrag/query.h"
#include "text/chat_template.h"
#include "text/prompt_template.h"
#include "text/tokenizer.h"

namespace refrag {

/// Rows of floats, row by row.
struct Matrix {
  std::size_t rows = 0;
  std::size_t width = 0;
  std::vector<float> values;
  std::span<const float> row(std::size_t n) const { return {values.data() + n * width, width}; }
};

/// What the engine must know of a model.
struct ModelInfo {
  std::string name;
  std::size_t chunk_size = 0;     // 0: no encoder, mode refrag is refused
  std::size_t chunk_width = 0;    // d_enc
  std::size_t decoder_width = 0;  // d_dec
  std::size_t passage_width = 0;  // 0: no dense search
  std::size_t vocab_size = 0;
  std::size_t context_length = 0;  // positions
  std::vector<TokenId> eos_ids;
  std::uint64_t kv_bytes_per_position = 0;
  bool has_policy = false;
  bool has_reranker = false;
  /// A passage's vector is the mean of its chunks' vectors, at length 1: who has those need not read the text again.
  bool passages_are_mean_of_chunks = false;
  RetrieveMode default_retrieve = RetrieveMode::kHybrid;
  std::size_t passage_tokens = 256;  // what the model was trained with; the indexer's default
  PromptTemplate prompt;
  std::shared_ptr<const Tokenizer> tokenizer;  // the decoder's
  std::optional<ChatTemplate> chat_template;
  KnowledgeBaseSchema schema;  // identities and widths, for the check against a base
};

/// One entry of a mixed sequence: a token, or a row of the sequence's projected chunk vectors.
struct Entry {
  static constexpr TokenId kVector = -1;
  TokenId token = kVector;
  std::int32_t row = -1;  // where token is kVector
  bool operator==(const Entry&) const = default;
};

using SequenceId = std::uint64_t;

/// One sequence's share of a step: its KV cache is cut back to `start`, then `entries` are computed behind it.
struct StepInput {
  SequenceId sequence = 0;
  std::size_t start = 0;
  std::span<const Entry> entries;
  const Matrix* vectors = nullptr;  // what rows mean, [chunks, decoder_width]; may be null without rows
  std::size_t logits_of_last = 0;   // for how many of the last entries logits are wanted; 1 while generating
};

/// Every operation of a model that the engine, the indexer and retrieval need; free of torch, so that the loop around
/// it can be tested with a fake. `BundleRunner` (src/engine/bundle_runner.h) is the real one.
/// `step`, `open_sequence` and `close_sequence` are called from one thread; all else from any.
class ModelRunner {
 public:
  virtual ~ModelRunner() = default;
  virtual const ModelInfo& info() const = 0;

  /// Chunk vectors [chunks, chunk_width], not projected.
  virtual Matrix encode_chunks(const std::vector<std::vector<TokenId>>& chunks) const = 0;
  /// Into the decoder's embedding space, [rows, decoder_width].
  virtual Matrix project(const Matrix& chunk_vectors) const = 0;
  /// One logit a context chunk. `question` and `context` are chunk vectors, not projected; the runner projects where
  /// the policy reads projected vectors (`projected_*` are given where they exist already, else null).
  virtual std::vector<float> score_chunks(const Matrix& question, const Matrix& context,
                                          const Matrix* projected_context) const = 0;
  /// Normalized vectors for dense retrieval, [texts, passage_width].
  virtual Matrix embed_queries(const std::vector<std::string>& texts) const = 0;
  virtual Matrix embed_passages(const std::vector<std::string>& texts) const = 0;
  /// Cross-encoder scores; kUnsupported without a reranker.
  virtual std::vector<float> rerank(const std::string& query, const std::vector<std::string>& texts) const = 0;

  virtual SequenceId open_sequence(std::size_t expected_positions) = 0;
  virtual void close_sequence(SequenceId sequence) = 0;
  /// Runs all inputs as one batch (linear layers over all rows together). Result: logits [logits_of_last, vocab] of
  /// each input, in order; no rows for those that want none.
  virtual std::vector<Matrix> step(std::span<const StepInput> inputs) = 0;

  /// The thread that calls runs nothing for a while: other threads that it keeps for computing may go.
  virtual void rest() const {}
};

}  // namespace refrag

#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "engine/context.h"
#include "engine/mixed_input.h"
#include "engine/prompt.h"

namespace refrag {

/// The passage that stands at place `n` of the prompt, counted best first; its own inverse.
inline std::size_t turned(std::size_t n, std::size_t passages, PassageOrder order) {
  return order == PassageOrder::kBestLast ? passages - 1 - n : n;
}

/// The passages of a query in its prompt, before it is decided which chunks are expanded. Chunks are numbered from 0 in
/// the order of the prompt. `query` and `writer` must outlive it.
class PromptLayout {
 public:
  /// Throws kInvalidArgument for expand.ids that name no chunk of these passages.
  PromptLayout(const Query& query, std::vector<ContextPassage> passages, const PromptWriter& writer);

  std::size_t chunk_count() const { return chunk_sizes_.size(); }
  std::span<const std::size_t> chunk_sizes() const { return chunk_sizes_; }  // tokens
  std::span<ContextPassage> passages() { return passages_; }                 // best first
  std::vector<std::size_t> forced_chunks() const;  // those that expand.ids names and that are still there
  Matrix chunk_vectors(std::size_t width) const;   // [chunks, width]
  std::size_t positions(const std::vector<bool>& expanded) const;

  /// Drops last-ranked passages until the prompt fits; returns whether any were dropped. Throws kContextLengthExceeded
  /// where the query does not allow it or it is not enough.
  bool fit(const std::vector<bool>& expanded, std::size_t max_positions);

  MixedInput mixed_input(const std::vector<bool>& expanded) const;
  /// Hits and citations, best first, and usage but for what is counted elsewhere.
  void describe(Answer& answer) const;

 private:
  struct Forced {  // by rank: dropping the last-ranked passages does not change its name
    std::size_t ranked = 0;
    std::size_t chunk = 0;
  };
  void check_ids();
  void write();
  std::size_t place(std::size_t n) const { return turned(n, passages_.size(), query_->order); }

  const Query* query_;
  const PromptWriter* writer_;
  std::vector<ContextPassage> passages_;  // best first
  std::vector<Forced> forced_;
  Prompt prompt_;
  std::vector<std::size_t> first_chunk_;  // by place in the prompt
  std::vector<std::size_t> chunk_sizes_;
  std::size_t dropped_ = 0;
};

}  // namespace refrag

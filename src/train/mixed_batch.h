#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/token.h"
#include "model/llama_decoder.h"

namespace refrag::train {

/// Sequences of tokens and chunk vectors as one forward pass of the decoder, with the tokens that it has to predict.
/// Rows of all sequences stand one behind another: nothing is padded, and no sequence sees another one, unless it
/// follows it (several questions that share a context).
class MixedBatch {
 public:
  /// Begins a sequence; `follows`: the number of an earlier one, in whose place it goes on. Returns its number.
  std::size_t begin_sequence(std::int64_t follows = -1);
  void add_tokens(std::span<const TokenId> tokens);
  void add_token(TokenId token) { add_tokens({&token, 1}); }
  /// Tokens that are to be predicted, each from what stands before it. Not the first of a sequence.
  void add_targets(std::span<const TokenId> tokens);
  void add_target(TokenId token) { add_targets({&token, 1}); }
  void add_chunk_vector(std::vector<TokenId> chunk);  // of chunks()
  void add_vector(std::int64_t row);                  // of vectors that the caller has

  std::size_t positions() const { return static_cast<std::size_t>(row_); }
  std::size_t target_count() const { return target_ids_.size(); }
  std::span<const SequenceRows> sequences() const { return sequences_; }
  const std::vector<std::vector<TokenId>>& chunks() const { return chunks_; }
  /// By target: the sequence that it belongs to.
  const std::vector<std::size_t>& target_sequences() const { return target_sequences_; }

  /// Everything of `other` behind what is here. Its vectors must be chunks of its own.
  void append(const MixedBatch& other);

  /// −log p of each target, [targets] fp32. `vectors`: the rows that the sequences name, [chunks, d]; undefined where
  /// they name none. Differentiable in the decoder's weights and in `vectors`.
  at::Tensor losses(const LlamaDecoder& decoder, const at::Tensor& vectors, bool recompute) const;

 private:
  at::Tensor embed(const LlamaDecoder& decoder, const at::Tensor& vectors) const;

  std::int64_t row_ = 0;
  std::vector<SequenceRows> sequences_;
  std::vector<TokenId> tokens_;
  std::vector<std::int64_t> token_rows_;   // where they stand
  std::vector<std::int64_t> vectors_;      // rows of the vectors
  std::vector<std::int64_t> vector_rows_;  // where they stand
  std::vector<std::vector<TokenId>> chunks_;
  std::vector<std::int64_t> target_ids_;
  std::vector<std::int64_t> target_rows_;  // whose hidden state predicts them
  std::vector<std::size_t> target_sequences_;
};

}  // namespace refrag::train

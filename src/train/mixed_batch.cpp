#include "train/mixed_batch.h"

#include <ATen/ATen.h>

#include <numeric>

#include "refrag/error.h"

namespace refrag::train {
namespace {

at::Tensor indices_for(const std::vector<std::int64_t>& values, const at::Tensor& where) {
  return at::tensor(values, at::kLong).to(where.device());
}

}  // namespace

std::size_t MixedBatch::begin_sequence(std::int64_t follows) {
  sequences_.push_back({0, nullptr, follows});
  return sequences_.size() - 1;
}

void MixedBatch::add_tokens(std::span<const TokenId> tokens) {
  for (const TokenId token : tokens) {
    tokens_.push_back(token);
    token_rows_.push_back(row_++);
    ++sequences_.back().rows;
  }
}

void MixedBatch::add_targets(std::span<const TokenId> tokens) {
  if (sequences_.back().rows == 0) throw Error(ErrorCode::kInternal, "nothing stands before the first target");
  for (const TokenId token : tokens) {
    target_ids_.push_back(token);
    target_rows_.push_back(row_ - 1);
    target_sequences_.push_back(sequences_.size() - 1);
    add_token(token);
  }
}

void MixedBatch::add_chunk_vector(std::vector<TokenId> chunk) {
  add_vector(static_cast<std::int64_t>(chunks_.size()));
  chunks_.push_back(std::move(chunk));
}

void MixedBatch::add_vector(std::int64_t row) {
  vectors_.push_back(row);
  vector_rows_.push_back(row_++);
  ++sequences_.back().rows;
}

void MixedBatch::append(const MixedBatch& other) {
  const std::int64_t rows = row_;
  const auto sequences = static_cast<std::int64_t>(sequences_.size());
  const auto chunks = static_cast<std::int64_t>(chunks_.size());
  const auto add = [](auto& to, const auto& from, auto offset) {
    for (const auto value : from) to.push_back(value + offset);
  };
  for (SequenceRows sequence : other.sequences_) {
    if (sequence.follows >= 0) sequence.follows += sequences;
    sequences_.push_back(sequence);
  }
  add(tokens_, other.tokens_, TokenId{0});
  add(token_rows_, other.token_rows_, rows);
  add(vectors_, other.vectors_, chunks);
  add(vector_rows_, other.vector_rows_, rows);
  chunks_.insert(chunks_.end(), other.chunks_.begin(), other.chunks_.end());
  add(target_ids_, other.target_ids_, std::int64_t{0});
  add(target_rows_, other.target_rows_, rows);
  add(target_sequences_, other.target_sequences_, static_cast<std::size_t>(sequences));
  row_ += other.row_;
}

at::Tensor MixedBatch::embed(const LlamaDecoder& decoder, const at::Tensor& vectors) const {
  if (vectors_.empty()) return decoder.embed(tokens_);
  at::Tensor rows = vectors.index_select(0, indices_for(vectors_, vectors));  // [V, d]
  if (!tokens_.empty()) rows = at::cat({decoder.embed(tokens_).to(rows.scalar_type()), rows});
  // Row n of the sequences is row places[n] of tokens and vectors.
  std::vector<std::int64_t> places(static_cast<std::size_t>(row_));
  std::int64_t next = 0;
  for (const std::int64_t row : token_rows_) places[static_cast<std::size_t>(row)] = next++;
  for (const std::int64_t row : vector_rows_) places[static_cast<std::size_t>(row)] = next++;
  return rows.index_select(0, indices_for(places, rows));
}

at::Tensor MixedBatch::losses(const LlamaDecoder& decoder, const at::Tensor& vectors, bool recompute) const {
  const at::Tensor x = embed(decoder, vectors);  // [N, d]
  const at::Tensor hidden =
      recompute ? decoder.forward_recomputed(x, sequences_) : decoder.forward(x, std::span(sequences_));
  const at::Tensor predicting = hidden.index_select(0, indices_for(target_rows_, hidden));  // [targets, d]
  return at::cross_entropy_loss(decoder.logits(predicting), indices_for(target_ids_, hidden), /*weight=*/{},
                                at::Reduction::None);
}

}  // namespace refrag::train

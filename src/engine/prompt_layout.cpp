#include "engine/prompt_layout.h"

#include <algorithm>
#include <numeric>
#include <string>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

void require_below(const std::string& field, std::size_t found, std::size_t count, const std::string& owner) {
  if (found < count) return;
  throw Error(ErrorCode::kInvalidArgument, message(field, " is ", found, "; ", owner, " has ", count, ", from 0"),
              field);
}

}  // namespace

PromptLayout::PromptLayout(const Query& query, std::vector<ContextPassage> passages, const PromptWriter& writer)
    : query_(&query), writer_(&writer), passages_(std::move(passages)) {
  check_ids();
  write();
}

void PromptLayout::check_ids() {
  const std::vector<ChunkRef>& ids = query_->expand.ids;
  for (std::size_t n = 0; n < ids.size(); ++n) {
    require_below(message("expand.ids[", n, "].passage"), ids[n].passage, passages_.size(), "the prompt");
    const std::size_t ranked = place(ids[n].passage);
    require_below(message("expand.ids[", n, "].chunk"), ids[n].chunk, passages_[ranked].chunks.size(),
                  message("passage ", ids[n].passage));
    forced_.push_back({ranked, ids[n].chunk});
  }
}

void PromptLayout::write() {
  std::vector<std::string> titles;
  first_chunk_.clear();
  chunk_sizes_.clear();
  for (std::size_t n = 0; n < passages_.size(); ++n) {
    const ContextPassage& passage = passages_[place(n)];
    titles.push_back(passage.hit.title);
    first_chunk_.push_back(chunk_sizes_.size());
    for (const std::vector<TokenId>& chunk : passage.chunks) chunk_sizes_.push_back(chunk.size());
  }
  prompt_ = writer_->write(*query_, titles);
}

std::vector<std::size_t> PromptLayout::forced_chunks() const {
  std::vector<std::size_t> chunks;
  for (const Forced& forced : forced_) {
    if (forced.ranked < passages_.size()) chunks.push_back(first_chunk_[place(forced.ranked)] + forced.chunk);
  }
  return chunks;
}

Matrix PromptLayout::chunk_vectors(std::size_t width) const {
  Matrix vectors{chunk_count(), width, {}};
  vectors.values.reserve(chunk_count() * width);
  for (std::size_t n = 0; n < passages_.size(); ++n) {
    const std::vector<float>& rows = passages_[place(n)].vectors;
    vectors.values.insert(vectors.values.end(), rows.begin(), rows.end());
  }
  return vectors;
}

std::size_t PromptLayout::positions(const std::vector<bool>& expanded) const {
  std::size_t positions = 0;
  for (const PromptPart& part : prompt_.parts) positions += part.tokens.size();
  for (std::size_t chunk = 0; chunk < chunk_count(); ++chunk) positions += expanded[chunk] ? chunk_sizes_[chunk] : 1;
  return positions;
}

bool PromptLayout::fit(const std::vector<bool>& expanded, std::size_t max_positions) {
  const std::size_t whole = positions(expanded);
  if (whole <= max_positions) return false;
  std::vector<std::size_t> cost(passages_.size(), 0);  // positions by place in the prompt, separators aside
  for (const PromptPart& part : prompt_.parts) {
    if (part.kind == PromptPart::Kind::kAround) cost[part.passage] += part.tokens.size();
  }
  for (std::size_t n = 0; n < cost.size(); ++n) {
    const std::size_t end = n + 1 < cost.size() ? first_chunk_[n + 1] : chunk_count();
    for (std::size_t chunk = first_chunk_[n]; chunk < end; ++chunk) {
      cost[n] += expanded[chunk] ? chunk_sizes_[chunk] : 1;
    }
  }
  const std::size_t separators = prompt_.tokens_of(PromptPart::Kind::kSeparator);
  const std::size_t separator = passages_.size() > 1 ? separators / (passages_.size() - 1) : 0;
  const std::size_t count = passages_.size();
  std::size_t left = whole;
  std::size_t kept = count;
  while (query_->truncate && kept > 0 && left > max_positions) {
    left -= cost[turned(--kept, count, query_->order)];
    if (kept > 0) left -= separator;
  }
  if (left > max_positions) {
    throw Error(ErrorCode::kContextLengthExceeded,
                message("the prompt has ", whole, " positions",
                        query_->truncate ? message(", ", left, " without passages") : "", "; the context length is ",
                        max_positions));
  }
  dropped_ += count - kept;
  passages_.resize(kept);
  write();
  return true;
}

MixedInput PromptLayout::mixed_input(const std::vector<bool>& expanded) const {
  MixedInput input;
  for (const PromptPart& part : prompt_.parts) {
    input.add_tokens(part.tokens);
    if (part.kind != PromptPart::Kind::kText) continue;
    for (const std::vector<TokenId>& tokens : passages_[place(part.passage)].chunks) {
      input.add_chunk(part.passage, tokens, expanded[input.chunk_count()]);
    }
  }
  return input;
}

void PromptLayout::describe(Answer& answer) const {
  for (const ContextPassage& passage : passages_) {
    answer.citations.push_back({passage.hit.document_id, passage.hit.passage_id, passage.hit.start, passage.hit.end});
    answer.retrieval.hits.push_back(passage.hit);
  }
  answer.retrieval.empty = passages_.empty();
  Usage& usage = answer.usage;
  usage.question_tokens = prompt_.tokens_of(PromptPart::Kind::kFrame);
  usage.context_tokens = prompt_.tokens_of(PromptPart::Kind::kAround) +
                         prompt_.tokens_of(PromptPart::Kind::kSeparator) +
                         std::accumulate(chunk_sizes_.begin(), chunk_sizes_.end(), std::size_t{0});
  usage.chunks = chunk_count();
  usage.dropped_passages = dropped_;
}

}  // namespace refrag

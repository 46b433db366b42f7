#include "engine/mixed_input.h"

#include <utility>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

std::vector<Entry> as_entries(std::span<const TokenId> tokens) {
  std::vector<Entry> entries;
  entries.reserve(tokens.size());
  for (const TokenId token : tokens) entries.push_back({token, -1});
  return entries;
}

}  // namespace

void MixedInput::add_tokens(std::span<const TokenId> tokens) {
  for (const TokenId token : tokens) entries_.push_back({token, -1});
}

void MixedInput::add_chunk(std::size_t passage, std::vector<TokenId> tokens, bool expanded) {
  if (tokens.empty()) throw Error(ErrorCode::kInternal, message("a chunk of passage ", passage, " has no tokens"));
  const bool same_passage = !chunks_.empty() && chunks_.back().ref.passage == passage;
  const ChunkRef ref{passage, same_passage ? chunks_.back().ref.chunk + 1 : 0};
  const std::size_t position = entries_.size();
  if (expanded) {
    add_tokens(tokens);
  } else {
    entries_.push_back({Entry::kVector, static_cast<std::int32_t>(chunks_.size())});
  }
  chunks_.push_back({ref, std::move(tokens), position, expanded});
}

std::size_t MixedInput::expand(std::size_t chunk) {
  Chunk& opened = chunks_[chunk];
  if (opened.expanded) throw Error(ErrorCode::kInternal, message("chunk ", chunk, " is expanded already"));
  const std::vector<Entry> tokens = as_entries(opened.tokens);
  const auto place = entries_.begin() + static_cast<std::ptrdiff_t>(opened.position);
  *place = tokens.front();
  entries_.insert(place + 1, tokens.begin() + 1, tokens.end());
  for (std::size_t n = chunk + 1; n < chunks_.size(); ++n) chunks_[n].position += tokens.size() - 1;
  opened.expanded = true;
  return opened.position;
}

std::size_t MixedInput::growth(std::size_t chunk) const {
  return chunks_[chunk].expanded ? 0 : chunks_[chunk].tokens.size() - 1;
}

std::vector<TokenId> MixedInput::token_ids() const {
  std::vector<TokenId> ids;
  ids.reserve(entries_.size());
  for (const Entry& entry : entries_) {
    if (entry.token != Entry::kVector) ids.push_back(entry.token);
  }
  return ids;
}

}  // namespace refrag

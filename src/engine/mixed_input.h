#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "base/token.h"
#include "engine/model_runner.h"
#include "refrag/query.h"

namespace refrag {

/// One sequence of tokens and chunk vectors, as the decoder reads it: prompt first, generated tokens behind. Every
/// entry counts one position, so that RoPE sees the compressed length. Chunks are numbered from 0 in the order of the
/// prompt; chunk n is either its tokens or row n of the sequence's projected vectors.
class MixedInput {
 public:
  void add_tokens(std::span<const TokenId> tokens);
  /// The next chunk of `passage`, compressed or as tokens. Throws kInternal for a chunk without tokens.
  void add_chunk(std::size_t passage, std::vector<TokenId> tokens, bool expanded);

  /// Puts the chunk's tokens in place of its vector. Returns the first position that changed; what was computed before
  /// it stays valid. The chunk must be compressed.
  std::size_t expand(std::size_t chunk);

  std::span<const Entry> entries() const { return entries_; }
  std::size_t length() const { return entries_.size(); }  // positions
  std::size_t chunk_count() const { return chunks_.size(); }
  std::span<const TokenId> chunk_tokens(std::size_t chunk) const { return chunks_[chunk].tokens; }
  std::size_t chunk_position(std::size_t chunk) const { return chunks_[chunk].position; }  // of its first entry
  bool is_expanded(std::size_t chunk) const { return chunks_[chunk].expanded; }
  ChunkRef ref(std::size_t chunk) const { return chunks_[chunk].ref; }
  /// By how much expanding it makes the sequence longer.
  std::size_t growth(std::size_t chunk) const;
  /// The token ids that stand in the sequence, in order; compressed chunks add none.
  std::vector<TokenId> token_ids() const;

 private:
  struct Chunk {
    ChunkRef ref;
    std::vector<TokenId> tokens;
    std::size_t position = 0;
    bool expanded = false;
  };
  std::vector<Entry> entries_;
  std::vector<Chunk> chunks_;  // by position
};

}  // namespace refrag

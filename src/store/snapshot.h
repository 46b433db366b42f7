#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "refrag/document.h"
#include "refrag/knowledge_base.h"
#include "store/batch.h"

namespace refrag {

/// A passage in a snapshot: its segment and its row there.
struct PassageKey {
  std::int64_t segment = 0;
  std::int64_t row = 0;
  auto operator<=>(const PassageKey&) const = default;
};

struct ScoredPassage {
  PassageKey key;
  double score = 0;  // inner product of normalized vectors, or BM25 with its sign turned; higher is better
};

/// A passage as stored, without its chunk vectors.
struct StoredPassage {
  PassageKey key;
  std::string document_id;
  std::string passage_id;
  std::string title;
  std::string text;  // of the passage
  std::size_t start = 0;
  std::size_t end = 0;
  std::vector<ChunkRecord> chunks;
};

/// An unchanging view of a knowledge base at one commit. Copies share it; thread-safe. Holds no SQLite transaction:
/// rows of segments that a merge has replaced meanwhile stay readable for as long as any snapshot needs them.
class Snapshot {
 public:
  class Impl;
  explicit Snapshot(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

  /// The `count` nearest passages to `query` [passage_width], best first; only documents whose metadata equals
  /// `filter`.
  std::vector<ScoredPassage> search_dense(std::span<const float> query, std::size_t count,
                                          const Metadata& filter) const;
  /// BM25 over passage texts and titles. `query` is plain text: its words are quoted, very common ones dropped while
  /// rarer ones remain.
  std::vector<ScoredPassage> search_lexical(std::string_view query, std::size_t count, const Metadata& filter) const;

  /// In the order of `keys`. Throws kInternal for a key of another snapshot.
  std::vector<StoredPassage> passages(std::span<const PassageKey> keys) const;
  /// Chunk vectors of a passage, decoded to floats, [chunks, chunk_width].
  std::vector<float> chunk_vectors(const PassageKey& key) const;
  /// The passage's own vector, [passage_width]; empty where the base has none.
  std::vector<float> passage_vector(const PassageKey& key) const;

  std::size_t passage_count() const;
  const KnowledgeBaseSchema& schema() const;

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace refrag

#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "refrag/document.h"
#include "refrag/error.h"
#include "refrag/export.h"

namespace refrag {

struct Batch;
class Snapshot;

/// What ties a knowledge base to the models that made its vectors: SHA-256, in hexadecimal (docs/formats.md).
struct Identities {
  std::string chunks;    // chunk encoder, both tokenizers, chunk size, pooling, normalization
  std::string passages;  // the retriever with its prefixes and longest input
  bool operator==(const Identities&) const = default;
};

/// How chunk vectors are stored. A property of the base, never compared with a model.
enum class VectorFormat { kFp16, kInt8 };
REFRAG_EXPORT const char* name_of(VectorFormat format);

/// Fixed when a knowledge base is created.
struct KnowledgeBaseSchema {
  Identities identities;
  std::size_t chunk_size = 0;     // decoder tokens a chunk
  std::size_t chunk_width = 0;    // floats a chunk vector; 0: the bundle has no encoder, no chunk vectors are stored
  std::size_t passage_width = 0;  // floats a passage vector; 0: no dense search
  VectorFormat vector_format = VectorFormat::kFp16;
  std::string model_name;     // for messages only
  std::string identity_note;  // JSON: what went into the identities, so that a mismatch can name what differs
};

struct KnowledgeBaseStats {
  std::size_t documents = 0;
  std::size_t passages = 0;
  std::size_t chunks = 0;
  std::size_t tokens = 0;
  std::size_t segments = 0;
  std::uint64_t dead_rows = 0;  // deleted or replaced chunks that a merge will drop
  std::uint64_t metadata_bytes = 0;
  std::uint64_t vector_bytes = 0;
  KnowledgeBaseSchema schema;
};

/// A directory of documents, their passages and the vectors of their chunks (docs/formats.md).
/// One writer and many readers at once, in one process or in several. Thread-safe. Throws only refrag::Error.
class REFRAG_EXPORT KnowledgeBase {
 public:
  /// Makes an empty knowledge base. Throws kInvalidArgument if `directory` exists and is not an empty directory.
  static std::shared_ptr<KnowledgeBase> create(const std::filesystem::path& directory,
                                               const KnowledgeBaseSchema& schema);
  /// Throws kNotFound if there is none, kCorrupt if it is damaged, kUnsupported for a newer format.
  static std::shared_ptr<KnowledgeBase> open(const std::filesystem::path& directory);
  static bool exists(const std::filesystem::path& directory);
  ~KnowledgeBase();

  const std::filesystem::path& directory() const;
  const KnowledgeBaseSchema& schema() const;
  KnowledgeBaseStats stats() const;

  std::optional<StoredDocument> get(const std::string& id) const;
  /// Up to `limit` documents with ids after `after`, ordered by id (bytewise).
  DocumentPage list(const std::string& after = {}, std::size_t limit = 100) const;
  /// Removes documents by id in one commit; returns how many existed. Throws kBusy while another writer is at work.
  std::size_t remove(const std::vector<std::string>& ids);
  /// Folds small segments into one and drops what was deleted. Readers keep what they hold. Throws kBusy.
  void merge();

  /// The state at the last commit; it stays as it is while newer commits arrive. Cheap. (src/store/snapshot.h)
  Snapshot snapshot() const;
  /// All of `batch` becomes visible and durable, or none of it. Throws kBusy. (src/store/batch.h)
  void commit(const Batch& batch);
  /// Content hashes of those of `ids` that are stored, in the same order; empty where not stored.
  std::vector<std::string> content_hashes(const std::vector<std::string>& ids) const;

  /// While it lives, this process is the writer: commits of others get kBusy, and ours take no lock of their own.
  class WriterLock;
  /// Waits for a commit of another thread of this process; throws kBusy at once where another lock or process writes.
  std::shared_ptr<WriterLock> lock_for_writing();

  class Impl;

 private:
  explicit KnowledgeBase(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;  // SQLite and FAISS live behind this pointer
};

}  // namespace refrag

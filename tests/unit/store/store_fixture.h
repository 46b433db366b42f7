#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "refrag/knowledge_base.h"
#include "store/batch.h"
#include "store/snapshot.h"
#include "support/errors.h"

namespace refrag::testing {

inline KnowledgeBaseSchema small_schema(VectorFormat format = VectorFormat::kFp16) {
  KnowledgeBaseSchema schema;
  schema.identities = {"chunks-identity", "passages-identity"};
  schema.chunk_size = 4;
  schema.chunk_width = 8;
  schema.passage_width = 6;
  schema.vector_format = format;
  schema.model_name = "test-model";
  schema.identity_note = R"({"encoder": "none"})";
  return schema;
}

/// A unit vector that depends on `seed` alone.
inline std::vector<float> vector_of(const std::string& seed, std::size_t width) {
  std::vector<float> vector(width);
  float norm = 0;
  for (std::size_t i = 0; i < width; ++i) {
    const std::string digits = sha256_hex(seed + "/" + std::to_string(i)).substr(0, 6);
    vector[i] = static_cast<float>(std::stoi(digits, nullptr, 16)) / 8388608.0F - 1.0F;
    norm += vector[i] * vector[i];
  }
  for (float& value : vector) {
    value /= std::sqrt(norm);
  }
  return vector;
}

/// A document of one passage, whose chunks have four tokens each, one a character.
inline DocumentRecord record_of(const std::string& id, const std::string& text, Metadata metadata = {},
                                const KnowledgeBaseSchema& schema = small_schema()) {
  DocumentRecord record;
  record.document = {id, "title of " + id, text, std::move(metadata)};
  record.content_hash = sha256_hex(id + text);
  PassageRecord passage;
  passage.end = count_code_points(text);
  for (std::size_t start = 0; start < passage.end; start += schema.chunk_size) {
    ChunkRecord chunk;
    chunk.start = start;
    chunk.end = std::min(start + schema.chunk_size, passage.end);
    for (std::size_t i = chunk.start; i < chunk.end; ++i) {
      chunk.ids.push_back(static_cast<TokenId>(1000 * passage.chunks.size() + i));
    }
    const std::vector<float> vector =
        vector_of(id + text + "/chunk" + std::to_string(passage.chunks.size()), schema.chunk_width);
    passage.chunk_vectors.insert(passage.chunk_vectors.end(), vector.begin(), vector.end());
    passage.chunks.push_back(std::move(chunk));
  }
  passage.vector = vector_of(text, schema.passage_width);
  record.passages.push_back(std::move(passage));
  return record;
}

/// Documents whose text is "the ID shines".
inline Batch batch_of(const std::vector<std::string>& ids) {
  Batch batch;
  for (const std::string& id : ids) {
    batch.documents.push_back(record_of(id, "the " + id + " shines"));
  }
  return batch;
}

inline std::vector<std::string> document_ids(const KnowledgeBase& base) {
  std::vector<std::string> ids;
  for (const DocumentSummary& document : base.list({}, 1'000'000).documents) {
    ids.push_back(document.id);
  }
  return ids;
}

inline std::vector<std::string> found_ids(const Snapshot& snapshot, const std::vector<ScoredPassage>& found) {
  std::vector<PassageKey> keys;
  keys.reserve(found.size());
  for (const ScoredPassage& passage : found) {
    keys.push_back(passage.key);
  }
  std::vector<std::string> ids;
  for (const StoredPassage& passage : snapshot.passages(keys)) {
    ids.push_back(passage.document_id);
  }
  return ids;
}

inline std::vector<std::string> sorted(std::vector<std::string> ids) {
  std::ranges::sort(ids);
  return ids;
}

inline std::vector<std::string> ids(std::initializer_list<std::string> names) { return sorted(names); }

/// Every passage of every document is read: text, tokens and vectors.
inline std::size_t read_everything(const KnowledgeBase& base) {
  const Snapshot snapshot = base.snapshot();
  std::size_t floats = 0;
  const std::vector<float> query(snapshot.schema().passage_width, 0.1F);
  for (const ScoredPassage& found : snapshot.search_dense(query, snapshot.passage_count(), {})) {
    const std::vector<StoredPassage> passages = snapshot.passages(std::vector<PassageKey>{found.key});
    floats += passages.at(0).text.size();
    floats += snapshot.chunk_vectors(found.key).size() + snapshot.passage_vector(found.key).size();
  }
  for (const std::string& id : document_ids(base)) {
    floats += base.get(id).has_value() ? 1 : 0;
  }
  floats += snapshot.search_lexical("shines the moon", 10, {}).size();
  return floats;
}

class StoreTest : public ::testing::Test {
 protected:
  KnowledgeBase& kb() { return *base_; }
  void create(const KnowledgeBaseSchema& schema = small_schema()) { base_ = KnowledgeBase::create(path(), schema); }
  void reopen() {
    base_.reset();
    base_ = KnowledgeBase::open(path());
  }
  void close() { base_.reset(); }
  std::filesystem::path path() const { return directory_.path() / "kb"; }
  std::filesystem::path segments() const { return path() / "segments"; }
  std::vector<std::string> segment_files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(segments())) {
      names.push_back(entry.path().filename().string());
    }
    return sorted(names);
  }

 private:
  TemporaryDirectory directory_;
  std::shared_ptr<KnowledgeBase> base_;
};

}  // namespace refrag::testing

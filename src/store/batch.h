#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/token.h"
#include "refrag/document.h"

namespace refrag {

struct ChunkRecord {
  std::vector<TokenId> ids;  // decoder tokens, 1 to k
  std::size_t start = 0;     // code points of the document's text
  std::size_t end = 0;
};

struct PassageRecord {
  std::size_t start = 0;  // code points of the document's text
  std::size_t end = 0;
  std::vector<ChunkRecord> chunks;
  std::vector<float> vector;         // [passage_width]; empty where the base has no dense search
  std::vector<float> chunk_vectors;  // [chunks, chunk_width], row by row
};

struct DocumentRecord {
  Document document;
  std::string content_hash;  // SHA-256 of what decides the stored form; equal means nothing to do
  std::vector<PassageRecord> passages;
};

/// Documents that become visible together. A document whose id is stored already replaces it. Ids are unique in a
/// batch.
struct Batch {
  std::vector<DocumentRecord> documents;
  std::vector<std::string> removed;
};

}  // namespace refrag

#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "refrag/document.h"
#include "store/batch.h"

namespace refrag {

/// The rows of a segment: which passage stands in which row, and where its chunks are.
struct SegmentRows {
  std::vector<std::int64_t> passages;         // passage numbers, ascending; position = row
  std::vector<std::uint32_t> first_chunk{0};  // [rows + 1] rows of the chunk file: chunks of row r are [r] to [r + 1]

  std::size_t size() const { return passages.size(); }
  std::size_t chunks() const { return first_chunk.back(); }
  void add(std::int64_t passage, std::size_t chunks);
};

// Blobs of meta.db: unsigned LEB128 numbers, signed ones zigzag-folded (docs/formats.md). A blob that is not what was
// written throws kCorrupt, naming `what`.
std::string encode_rows(const SegmentRows& rows);
SegmentRows decode_rows(std::string_view blob, const std::string& what);
std::string encode_chunks(std::span<const ChunkRecord> chunks, std::size_t passage_start);
std::vector<ChunkRecord> decode_chunks(std::string_view blob, std::size_t passage_start, const std::string& what);

std::string encode_metadata(const Metadata& metadata);  // JSON
Metadata decode_metadata(std::string_view json, const std::string& what);

}  // namespace refrag

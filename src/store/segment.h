#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "refrag/knowledge_base.h"
#include "store/chunk_vectors.h"
#include "store/passage_index.h"
#include "store/record_codec.h"
#include "store/segment_file.h"
#include "store/sqlite.h"

namespace refrag {

/// A segment as meta.db knows it.
struct SegmentRecord {
  std::int64_t number = 0;
  std::int64_t born = 0;  // the generation that made it
  PassageIndexKind passage_index = PassageIndexKind::kFlat;
  FileRecord passages_file;
  FileRecord chunks_file;
  SegmentRows rows;
};

std::filesystem::path passages_path(const std::filesystem::path& directory, std::int64_t segment);
std::filesystem::path chunks_path(const std::filesystem::path& directory, std::int64_t segment);

void insert_segment(Connection& connection, const SegmentRecord& record);
void delete_segment(Connection& connection, std::int64_t number);
std::vector<std::int64_t> segment_numbers(Connection& connection);
SegmentRecord read_segment(Connection& connection, std::int64_t number);

/// A live segment and its files, shared by all snapshots that hold it. Opening it maps the files and checks their
/// lengths; what they hold is read and checked when it is first asked for. Thread-safe.
class Segment {
 public:
  /// `directory` is that of the knowledge base. Throws kNotFound for a missing file, kCorrupt for a wrong one.
  Segment(const std::filesystem::path& directory, SegmentRecord record, const KnowledgeBaseSchema& schema);

  std::int64_t number() const { return record_.number; }
  const SegmentRows& rows() const { return record_.rows; }
  /// The row of a passage, if it is in this segment.
  std::optional<std::size_t> row_of(std::int64_t passage) const;
  std::uint64_t file_bytes() const { return record_.passages_file.bytes + record_.chunks_file.bytes; }

  const PassageIndex* passage_index() const;  // null where no vectors are stored
  const ChunkVectors* chunk_vectors() const;

 private:
  SegmentRecord record_;
  std::size_t passage_width_;
  std::size_t chunk_width_;
  VectorFormat vector_format_;
  std::shared_ptr<const SegmentFile> passages_file_;
  std::shared_ptr<const SegmentFile> chunks_file_;
  mutable std::mutex mutex_;  // held while a file is read for the first time
  mutable std::unique_ptr<const PassageIndex> passage_index_;
  mutable std::unique_ptr<const ChunkVectors> chunk_vectors_;
};

/// Writes the files of a new segment: first under temporary names, then renamed. They are removed again unless kept.
class SegmentWriter {
 public:
  /// `passage_vectors` [rows, passage_width] is written at once.
  SegmentWriter(const std::filesystem::path& directory, const KnowledgeBaseSchema& schema, SegmentRecord record,
                std::span<const float> passage_vectors);
  /// Chunk vectors follow row by row, rows().chunks() of them in all.
  ChunkVectorsWriter& begin_chunks(const ChunkCodec& codec);
  /// Fsyncs, gives the files their names and makes the names durable.
  const SegmentRecord& finish();
  void keep();

 private:
  std::filesystem::path directory_;
  SegmentRecord record_;
  std::optional<SegmentFileWriter> passages_;
  std::optional<SegmentFileWriter> chunks_;
  std::optional<ChunkVectorsWriter> chunk_vectors_;
};

}  // namespace refrag

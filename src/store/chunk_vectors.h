#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "refrag/knowledge_base.h"
#include "store/segment_file.h"

namespace refrag {

/// What decides the bytes of one chunk vector.
struct ChunkCodec {
  std::size_t width = 0;  // floats a vector
  VectorFormat format = VectorFormat::kFp16;
  /// kInt8 only: [2, width], the least value of each dimension and the width of its range, over the vectors of the
  /// segment. The stored byte is floor(255 · (x - least) / range), so that a decoded value is off by at most range /
  /// 510.
  std::vector<float> ranges;

  bool operator==(const ChunkCodec&) const = default;
};

/// The ranges of kInt8, fed row by row.
class RangeFinder {
 public:
  explicit RangeFinder(std::size_t width);
  void add(std::span<const float> vectors);  // [n, width]
  std::vector<float> ranges() const;         // [2, width]

 private:
  std::size_t width_;
  std::vector<float> least_;
  std::vector<float> most_;
};

/// The narrowest ranges that hold both, [2, width] each.
std::vector<float> common_ranges(std::vector<float> a, std::span<const float> b);

class ChunkQuantizer;

/// Writes a faiss::IndexScalarQuantizer file front to back, so that a segment of any size needs little memory.
class ChunkVectorsWriter {
 public:
  ChunkVectorsWriter(SegmentFileWriter& file, const ChunkCodec& codec, std::size_t rows);
  ~ChunkVectorsWriter();
  void append(std::span<const float> vectors);          // [n, width]
  void append_codes(std::span<const std::byte> codes);  // of the same codec

 private:
  SegmentFileWriter& file_;
  std::size_t width_;
  std::unique_ptr<const ChunkQuantizer> quantizer_;
};

/// The chunk vectors of a segment. Its codes are the last block of the file and stay in the page cache, never on the
/// heap; FAISS's codec decodes them, its reader is not used. Thread-safe.
class ChunkVectors {
 public:
  /// Throws kCorrupt unless the file is what ChunkVectorsWriter makes for `width`, `format` and `rows`.
  ChunkVectors(std::shared_ptr<const SegmentFile> file, std::size_t width, VectorFormat format, std::size_t rows);
  ~ChunkVectors();

  const ChunkCodec& codec() const { return codec_; }
  std::vector<float> decode(std::size_t first_row, std::size_t rows) const;  // [rows, width]
  std::span<const std::byte> codes(std::size_t first_row, std::size_t rows) const;

 private:
  std::shared_ptr<const SegmentFile> file_;
  ChunkCodec codec_;
  std::size_t rows_;
  std::size_t header_bytes_ = 0;
  std::size_t code_bytes_ = 0;  // of one vector
  std::unique_ptr<const ChunkQuantizer> quantizer_;
};

}  // namespace refrag

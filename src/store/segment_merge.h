#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "store/batch.h"
#include "store/segment.h"
#include "store/snapshot_impl.h"

namespace refrag {

/// Writes the segment of a batch into `files`, which then guards its files until kept.
SegmentRecord write_batch_segment(const OpenStore& store, std::int64_t number, std::int64_t generation,
                                  SegmentRows rows, const Batch& batch, std::optional<SegmentWriter>& files);

/// The live rows of some segments of a snapshot, in the order of their passage numbers, and the segment made of them.
class SegmentMerge {
 public:
  SegmentMerge(const Snapshot::Impl& snapshot, std::span<const std::int64_t> numbers);

  /// Empty where no live row is left. Chunk vectors are streamed; passage vectors are held in memory.
  std::optional<SegmentRecord> write(std::int64_t number, std::int64_t generation,
                                     std::optional<SegmentWriter>& files) const;
  std::size_t dropped_chunks() const { return dropped_chunks_; }

 private:
  struct Row {
    std::int64_t passage;
    const Segment* segment;
    std::size_t row;

    std::size_t first_chunk() const { return segment->rows().first_chunk[row]; }
    std::size_t chunks() const { return segment->rows().first_chunk[row + 1] - first_chunk(); }
  };
  std::vector<float> passage_vectors() const;
  ChunkCodec codec() const;
  void write_chunks(SegmentWriter& files) const;

  const OpenStore& store_;
  std::vector<Row> rows_;
  std::size_t dropped_chunks_ = 0;
};

}  // namespace refrag

#include "store/segment_merge.h"

#include <algorithm>
#include <utility>

namespace refrag {
namespace {

SegmentRecord record_of(std::int64_t number, std::int64_t generation, SegmentRows rows) {
  SegmentRecord record;
  record.number = number;
  record.born = generation;
  record.passage_index = rows.size() < kInvertedFromRows ? PassageIndexKind::kFlat : PassageIndexKind::kInverted;
  record.rows = std::move(rows);
  return record;
}

/// Calls `visit` with the vectors of each passage of a batch, in order.
template <typename Visit>
void for_each_passage(const Batch& batch, const Visit& visit) {
  for (const DocumentRecord& record : batch.documents) {
    std::ranges::for_each(record.passages, visit);
  }
}

}  // namespace

SegmentRecord write_batch_segment(const OpenStore& store, std::int64_t number, std::int64_t generation,
                                  SegmentRows rows, const Batch& batch, std::optional<SegmentWriter>& files) {
  std::vector<float> passages;
  passages.reserve(rows.size() * store.schema.passage_width);
  ChunkCodec codec{store.schema.chunk_width, store.schema.vector_format, {}};
  RangeFinder ranges(codec.width);
  for_each_passage(batch, [&](const PassageRecord& passage) {
    passages.insert(passages.end(), passage.vector.begin(), passage.vector.end());
    ranges.add(passage.chunk_vectors);
  });
  const bool has_chunk_vectors = codec.width > 0 && rows.chunks() > 0;
  files.emplace(store.directory, store.schema, record_of(number, generation, std::move(rows)), passages);
  if (has_chunk_vectors) {
    if (codec.format == VectorFormat::kInt8) {
      codec.ranges = ranges.ranges();
    }
    ChunkVectorsWriter& chunks = files->begin_chunks(codec);
    for_each_passage(batch, [&](const PassageRecord& passage) { chunks.append(passage.chunk_vectors); });
  }
  return files->finish();
}

SegmentMerge::SegmentMerge(const Snapshot::Impl& snapshot, std::span<const std::int64_t> numbers)
    : store_(snapshot.store()) {
  for (const Snapshot::Impl::LiveSegment& source : snapshot.segments()) {
    const Segment& segment = *source.segment;
    if (std::ranges::find(numbers, segment.number()) == numbers.end()) {
      continue;
    }
    for (std::size_t row = 0; row < segment.rows().size(); ++row) {
      const Row candidate{segment.rows().passages[row], &segment, row};
      if (source.live->contains(row)) {
        rows_.push_back(candidate);
      } else {
        dropped_chunks_ += candidate.chunks();
      }
    }
  }
  std::ranges::sort(rows_, {}, &Row::passage);
}

std::vector<float> SegmentMerge::passage_vectors() const {
  std::vector<float> vectors;
  if (store_.schema.passage_width == 0) {
    return vectors;
  }
  vectors.reserve(rows_.size() * store_.schema.passage_width);
  for (const Row& row : rows_) {
    const std::vector<float> vector = row.segment->passage_index()->vector(row.row);
    vectors.insert(vectors.end(), vector.begin(), vector.end());
  }
  return vectors;
}

/// kInt8 takes the ranges that hold those of all sources. A stored byte stands for the middle of its step, so where a
/// range stays as it was, writing the decoded value anew gives the same byte: only a wider range costs exactness.
ChunkCodec SegmentMerge::codec() const {
  ChunkCodec codec{store_.schema.chunk_width, store_.schema.vector_format, {}};
  const Segment* previous = nullptr;
  for (const Row& row : rows_) {
    if (row.chunks() > 0 && row.segment != previous) {
      const std::vector<float>& ranges = row.segment->chunk_vectors()->codec().ranges;
      codec.ranges = codec.ranges.empty() ? ranges : common_ranges(std::move(codec.ranges), ranges);
      previous = row.segment;
    }
  }
  return codec;
}

void SegmentMerge::write_chunks(SegmentWriter& files) const {
  const ChunkCodec codec = this->codec();
  ChunkVectorsWriter& writer = files.begin_chunks(codec);
  for (const Row& row : rows_) {
    if (row.chunks() == 0) {
      continue;
    }
    const ChunkVectors& source = *row.segment->chunk_vectors();
    if (source.codec() == codec) {
      writer.append_codes(source.codes(row.first_chunk(), row.chunks()));
    } else {
      writer.append(source.decode(row.first_chunk(), row.chunks()));
    }
  }
}

std::optional<SegmentRecord> SegmentMerge::write(std::int64_t number, std::int64_t generation,
                                                 std::optional<SegmentWriter>& files) const {
  if (rows_.empty()) {
    return std::nullopt;
  }
  SegmentRows rows;
  for (const Row& row : rows_) {
    rows.add(row.passage, row.chunks());
  }
  const bool has_chunk_vectors = store_.schema.chunk_width > 0 && rows.chunks() > 0;
  files.emplace(store_.directory, store_.schema, record_of(number, generation, std::move(rows)), passage_vectors());
  if (has_chunk_vectors) {
    write_chunks(*files);
  }
  return files->finish();
}

}  // namespace refrag

#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace refrag {

struct SegmentSize {
  std::int64_t number = 0;
  std::size_t rows = 0;  // passages, dead ones included
  std::size_t live = 0;
};

/// Which segments to fold into one. Pure functions of sizes. As in Lucene's tiered policy, segments of about equal size
/// are folded together, so that a passage is rewritten once per factor of ten that the base grows by.
struct MergePolicy {
  std::size_t segments_a_tier = 10;  // more of one size are folded; a tier is a power of ten of live rows
  std::size_t smallest_tier = 100;   // rows; all segments below count as of one size
  std::size_t most_rows = 250'000;   // of a folded segment; bounds the memory and the time a merge takes
  double dead_share = 0.5;           // a segment with more dead rows is rewritten alone

  /// After a commit: the segments of one merge, empty when none is due. Ask again after doing it.
  std::vector<std::int64_t> pick(std::span<const SegmentSize> segments) const;
  /// When asked to merge: groups to fold so that as few segments as possible remain and no dead rows.
  std::vector<std::vector<std::int64_t>> pick_all(std::span<const SegmentSize> segments) const;
};

}  // namespace refrag

#include "store/merge_policy.h"

#include <algorithm>
#include <map>

namespace refrag {
namespace {

std::size_t tier_of(std::size_t live, std::size_t smallest) {
  std::size_t tier = 0;
  for (std::size_t size = std::max<std::size_t>(smallest, 1); live >= size; size *= 10) {
    ++tier;
  }
  return tier;
}

}  // namespace

std::vector<std::int64_t> MergePolicy::pick(std::span<const SegmentSize> segments) const {
  std::map<std::size_t, std::vector<SegmentSize>> tiers;
  for (const SegmentSize& segment : segments) {
    if (segment.live == 0 ||
        static_cast<double>(segment.rows - segment.live) > dead_share * static_cast<double>(segment.rows)) {
      return {segment.number};
    }
    if (segment.live <= most_rows / 2) {
      tiers[tier_of(segment.live, smallest_tier)].push_back(segment);
    }
  }
  for (const auto& [tier, members] : tiers) {
    if (members.size() <= segments_a_tier) {
      continue;
    }
    std::vector<std::int64_t> picked;
    std::size_t rows = 0;
    for (const SegmentSize& segment : members) {
      if (rows + segment.live > most_rows) {
        break;
      }
      rows += segment.live;
      picked.push_back(segment.number);
    }
    return picked;
  }
  return {};
}

std::vector<std::vector<std::int64_t>> MergePolicy::pick_all(std::span<const SegmentSize> segments) const {
  struct Group {
    std::vector<std::int64_t> numbers;
    std::size_t rows = 0;
    bool has_dead = false;
  };
  std::vector<Group> groups(1);
  for (const SegmentSize& segment : segments) {
    if (!groups.back().numbers.empty() && groups.back().rows + segment.live > most_rows) {
      groups.emplace_back();
    }
    groups.back().numbers.push_back(segment.number);
    groups.back().rows += segment.live;
    groups.back().has_dead |= segment.live < segment.rows;
  }
  std::vector<std::vector<std::int64_t>> picked;
  for (Group& group : groups) {
    if (group.numbers.size() > 1 || group.has_dead) {
      picked.push_back(std::move(group.numbers));
    }
  }
  return picked;
}

}  // namespace refrag

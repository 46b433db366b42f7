#include "text/prefix_trie.h"

#include <algorithm>

namespace refrag {

PrefixTrie::PrefixTrie(std::vector<std::pair<std::string, std::int32_t>> keys) {
  std::erase_if(keys, [](const auto& key) { return key.first.empty(); });
  if (keys.empty()) {
    return;
  }
  std::stable_sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  // Breadth first, so that long keys need no deep recursion. A node stands for keys [first, last), equal up to `depth`.
  struct Open {
    std::size_t first, last, depth;
  };
  std::vector<Open> open = {{0, keys.size(), 0}};
  nodes_.emplace_back();
  for (std::size_t node = 0; node < open.size(); ++node) {
    auto [first, last, depth] = open[node];
    for (; first < last && keys[first].first.size() == depth; ++first) {
      nodes_[node].number = keys[first].second;
    }
    nodes_[node].first_edge = static_cast<std::uint32_t>(edges_.size());
    while (first < last) {
      const char label = keys[first].first[depth];
      std::size_t next = first;
      while (next < last && keys[next].first[depth] == label) {
        ++next;
      }
      edges_.push_back({static_cast<std::uint8_t>(label), static_cast<std::uint32_t>(nodes_.size())});
      nodes_.emplace_back();
      open.push_back({first, next, depth + 1});
      first = next;
    }
    nodes_[node].end_edge = static_cast<std::uint32_t>(edges_.size());
  }
  for (std::uint32_t edge = 0; edge < nodes_[0].end_edge; ++edge) {
    roots_[edges_[edge].label] = edges_[edge].target;
  }
}

std::uint32_t PrefixTrie::child(std::uint32_t node, std::uint8_t label) const {
  const auto begin = edges_.begin() + nodes_[node].first_edge;
  const auto end = edges_.begin() + nodes_[node].end_edge;
  const auto found =
      std::lower_bound(begin, end, label, [](const Edge& edge, std::uint8_t wanted) { return edge.label < wanted; });
  return found != end && found->label == label ? found->target : kNoNode;
}

}  // namespace refrag

#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace refrag {

/// A set of byte strings with a number each, asked for those that a text begins with. Immutable.
class PrefixTrie {
 public:
  PrefixTrie() = default;
  /// Of several equal keys the last one's number counts; empty keys are passed over.
  explicit PrefixTrie(std::vector<std::pair<std::string, std::int32_t>> keys);

  bool empty() const { return nodes_.empty(); }
  /// Calls `take(length, number)` for each key that `text` begins with, the shortest first.
  template <typename Take>
  void for_each_prefix(std::string_view text, const Take& take) const;

 private:
  static constexpr std::int32_t kNoNumber = -1;
  static constexpr std::uint32_t kNoNode = 0;  // the root is nobody's child
  struct Node {
    std::uint32_t first_edge = 0;
    std::uint32_t end_edge = 0;
    std::int32_t number = kNoNumber;
  };
  struct Edge {
    std::uint8_t label;
    std::uint32_t target;
  };
  std::uint32_t child(std::uint32_t node, std::uint8_t label) const;

  std::vector<Node> nodes_;
  std::vector<Edge> edges_;                 // of one node together, by label
  std::array<std::uint32_t, 256> roots_{};  // the root's children by label: most look-ups end there
};

template <typename Take>
void PrefixTrie::for_each_prefix(std::string_view text, const Take& take) const {
  if (empty() || text.empty()) {
    return;
  }
  std::uint32_t node = roots_[static_cast<std::uint8_t>(text[0])];
  for (std::size_t length = 1; node != kNoNode; ++length) {
    if (nodes_[node].number != kNoNumber) {
      take(length, nodes_[node].number);
    }
    if (length == text.size()) {
      break;
    }
    node = child(node, static_cast<std::uint8_t>(text[length]));
  }
}

}  // namespace refrag

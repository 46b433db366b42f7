#include "text/charsmap.h"

#include <algorithm>

#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"

namespace refrag {
namespace {

// SentencePiece keeps the rules that fit one place in an array of this length, unchecked.
constexpr int kMaxRulesOnPath = 32;

// The layout of a unit of Darts' double array.
bool has_leaf(std::uint32_t unit) { return (unit >> 8 & 1) != 0; }
std::uint32_t value_of(std::uint32_t unit) { return unit & 0x7FFFFFFF; }
std::uint32_t label_of(std::uint32_t unit) { return unit & 0x800000FF; }
std::uint32_t offset_of(std::uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

std::uint32_t little_endian(std::string_view four) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i > 0; --i) {
    value = value << 8 | static_cast<unsigned char>(four[i - 1]);
  }
  return value;
}

[[noreturn]] void fail(const std::string& where, const std::string& what) {
  throw Error(ErrorCode::kCorrupt, message(where, ": precompiled_charsmap ", what));
}

}  // namespace

CharsMap::CharsMap(std::string_view blob, const std::string& where) {
  if (blob.size() < 4) {
    fail(where, message("has ", blob.size(), " bytes; expected at least 4"));
  }
  const std::size_t trie_bytes = little_endian(blob.substr(0, 4));
  blob.remove_prefix(4);
  if (trie_bytes == 0 || trie_bytes % 1024 != 0 || trie_bytes >= blob.size()) {
    fail(where,
         message("says that its trie has ", trie_bytes, " bytes; expected blocks of 1024, less than ", blob.size()));
  }
  for (std::size_t i = 0; i < trie_bytes; i += 4) {
    units_.push_back(little_endian(blob.substr(i, 4)));
  }
  replacements_ = blob.substr(trie_bytes);
  if (replacements_.back() != '\0') {
    fail(where, "does not end with NUL");
  }
  if (!is_valid_utf8(replacements_)) {
    fail(where, "has replacements that are not UTF-8");
  }
  check(where);
}

// The trie shares equal ends: a graph that must have no circle, walked depth first.
void CharsMap::check(const std::string& where) const {
  constexpr int kUnseen = -1;
  constexpr int kOpen = -2;
  struct Node {
    std::uint32_t unit;
    std::uint32_t next_label = 1;
    int rules_below = 0;  // the most that end on one way through the children seen so far
  };
  std::vector<int> rules(units_.size(), kUnseen);  // the most that end on one way from a node on
  std::vector<Node> way = {{0}};
  rules[0] = kOpen;
  check_node(0, where);
  while (!way.empty()) {
    Node& node = way.back();
    const std::uint32_t unit = units_[node.unit];
    if (node.next_label == 256) {
      const int below = node.rules_below + (has_leaf(unit) ? 1 : 0);
      if (below > kMaxRulesOnPath) {
        fail(where, message("has more than ", kMaxRulesOnPath, " rules that are prefixes of one another"));
      }
      rules[node.unit] = below;
      way.pop_back();
      if (!way.empty()) {
        way.back().rules_below = std::max(way.back().rules_below, below);
      }
      continue;
    }
    const std::uint32_t label = node.next_label++;
    const std::uint32_t child = node.unit ^ offset_of(unit) ^ label;
    if (label_of(units_[child]) != label) {
      continue;
    }
    if (rules[child] == kOpen) {
      fail(where, "has a trie that runs in a circle");
    }
    if (rules[child] != kUnseen) {
      node.rules_below = std::max(node.rules_below, rules[child]);
      continue;
    }
    check_node(child, where);
    rules[child] = kOpen;
    way.push_back({child});
  }
}

void CharsMap::check_node(std::uint32_t node, const std::string& where) const {
  const std::uint32_t unit = units_[node];
  const std::uint32_t children = node ^ offset_of(unit);
  if ((children | 0xFF) >= units_.size()) {
    fail(where, message("has node ", node, " that points outside of the trie"));
  }
  if (!has_leaf(unit)) {
    return;
  }
  const std::uint32_t place = value_of(units_[children]);
  if (place >= replacements_.size() || !is_valid_utf8(replacement_at(place))) {
    fail(where, message("has a rule with a replacement at ", place, ", which is not there"));
  }
}

std::string_view CharsMap::replacement_at(std::size_t place) const {
  return std::string_view(replacements_).substr(place, replacements_.find('\0', place) - place);
}

template <typename Take>
void CharsMap::for_each_rule(std::string_view text, const Take& take) const {
  std::uint32_t node = offset_of(units_[0]);
  for (std::size_t i = 0; i < text.size() && text[i] != '\0'; ++i) {
    const auto label = static_cast<unsigned char>(text[i]);
    node ^= label;
    const std::uint32_t unit = units_[node];
    if (label_of(unit) != label) {
      break;
    }
    node ^= offset_of(unit);
    if (has_leaf(unit) && !take(i + 1, value_of(units_[node]))) {
      break;
    }
  }
}

std::optional<std::string_view> CharsMap::shortest_rule(std::string_view text) const {
  std::optional<std::string_view> found;
  for_each_rule(text, [&](std::size_t, std::size_t place) {
    found = replacement_at(place);
    return false;
  });
  return found;
}

std::optional<CharsMap::Rule> CharsMap::longest_rule(std::string_view text) const {
  std::optional<Rule> found;
  for_each_rule(text, [&](std::size_t length, std::size_t place) {
    found = Rule{length, replacement_at(place)};
    return true;
  });
  return found;
}

}  // namespace refrag

#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace refrag {

/// SentencePiece's compiled normalization rules ("precompiled_charsmap"): a double-array trie from byte strings to
/// places in a block of NUL-terminated replacements.
class CharsMap {
 public:
  /// Checks every node, so that no look-up can leave the arrays. Throws kCorrupt, naming `where`.
  CharsMap(std::string_view blob, const std::string& where);

  /// What `text` becomes by the shortest rule that is a prefix of it, as `tokenizers` applies them.
  std::optional<std::string_view> shortest_rule(std::string_view text) const;
  /// The longest rule that is a prefix of `text`, as SentencePiece applies them.
  struct Rule {
    std::size_t length = 0;  // bytes of text
    std::string_view replacement;
  };
  std::optional<Rule> longest_rule(std::string_view text) const;

 private:
  void check(const std::string& where) const;
  void check_node(std::uint32_t node, const std::string& where) const;
  template <typename Take>
  void for_each_rule(std::string_view text, const Take& take) const;
  std::string_view replacement_at(std::size_t place) const;

  std::vector<std::uint32_t> units_;
  std::string replacements_;
};

}  // namespace refrag

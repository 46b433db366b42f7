#pragma once
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/token.h"

namespace refrag {

/// The tokens of a model by id and by spelling. Some are reserved: special tokens, which no word of a text may become.
class Vocabulary {
 public:
  static constexpr TokenId kMaxId = (1 << 22) - 1;  // far above any published vocabulary

  /// Throws kCorrupt, naming `where`, for an id that is taken or outside 0 to kMaxId. Where two ids have one spelling
  /// the later is found by it.
  void add(const std::string& token, TokenId id, const std::string& where);
  void reserve_token(TokenId id) { entries_[static_cast<std::size_t>(id)].is_reserved = true; }

  std::size_t size() const { return entries_.size(); }  // highest id + 1
  bool has(TokenId id) const { return id >= 0 && static_cast<std::size_t>(id) < size() && entry(id).is_known; }
  bool is_reserved(TokenId id) const { return has(id) && entry(id).is_reserved; }
  const std::string& token_of(TokenId id) const;  // empty for an id that is not there
  std::optional<TokenId> id_of(std::string_view token) const;
  std::optional<TokenId> word_id_of(std::string_view token) const;  // none for a reserved one
  std::size_t longest() const { return longest_; }                  // bytes of the longest token

 private:
  struct Entry {
    std::string token;
    bool is_known = false;
    bool is_reserved = false;
  };
  struct Hash {
    using is_transparent = void;
    // Not noexcept: libstdc++ then keeps each hash beside its token, which makes finding twice as fast.
    std::size_t operator()(std::string_view token) const { return std::hash<std::string_view>()(token); }
  };
  const Entry& entry(TokenId id) const { return entries_[static_cast<std::size_t>(id)]; }

  std::vector<Entry> entries_;  // by id
  std::unordered_map<std::string, TokenId, Hash, std::equal_to<>> ids_;
  std::size_t longest_ = 0;
};

}  // namespace refrag

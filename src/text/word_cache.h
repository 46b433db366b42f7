#pragma once
#include <array>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/word_model.h"

namespace refrag {

/// The tokens of words that were seen lately: text repeats its words. Bounded in size, thread-safe.
class WordCache {
 public:
  /// Adds the tokens of `word` to `out` where they are known.
  bool find(std::string_view word, std::vector<WordToken>& out) const;
  void store(std::string_view word, const WordToken* begin, const WordToken* end);

 private:
  static constexpr std::size_t kShards = 16;             // threads seldom wait for each other
  static constexpr std::size_t kMaxWordsInShard = 4096;  // a shard that is full starts anew
  static constexpr std::size_t kMaxWordBytes = 128;
  struct Hash {
    using is_transparent = void;
    // Not noexcept: libstdc++ then keeps each hash beside its word, which makes finding twice as fast.
    std::size_t operator()(std::string_view word) const { return std::hash<std::string_view>()(word); }
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<std::string, std::vector<WordToken>, Hash, std::equal_to<>> words;  // guarded by mutex
  };
  std::size_t shard_of(std::string_view word) const { return Hash()(word) / 64 % kShards; }

  std::array<Shard, kShards> shards_;
};

}  // namespace refrag

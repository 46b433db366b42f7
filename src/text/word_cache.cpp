#include "text/word_cache.h"

namespace refrag {

bool WordCache::find(std::string_view word, std::vector<WordToken>& out) const {
  if (word.size() > kMaxWordBytes) {
    return false;
  }
  const Shard& shard = shards_[shard_of(word)];
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.words.find(word);
  if (found == shard.words.end()) {
    return false;
  }
  out.insert(out.end(), found->second.begin(), found->second.end());
  return true;
}

void WordCache::store(std::string_view word, const WordToken* begin, const WordToken* end) {
  if (word.size() > kMaxWordBytes) {
    return;
  }
  Shard& shard = shards_[shard_of(word)];
  const std::lock_guard lock(shard.mutex);
  if (shard.words.size() == kMaxWordsInShard) {
    shard.words.clear();
  }
  shard.words.emplace(word, std::vector<WordToken>(begin, end));
}

}  // namespace refrag

#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/word_cache.h"
#include "text/word_model.h"

namespace refrag {

/// Cuts text that is merged as a whole, as LLaMA's is, into words that repeat, and remembers their tokens. A word ends
/// before a "▁" that follows something else, provided that no token reaches over such a place: then no merge does, and
/// the tokens are those of the whole text. Thread-safe once all tokens are known.
class WordCutter {
 public:
  static constexpr std::string_view kSpace = "\u2581";

  void add_token(std::string_view token) { may_cut_ = may_cut_ && end_of_word(token, 0) == token.size(); }
  void forbid_cuts() { may_cut_ = false; }

  /// Adds the tokens of `text` to `out`. `tokenize(word, out)` adds those of a word, counted from its start.
  template <typename Tokenize>
  void tokenize(std::string_view text, std::vector<WordToken>& out, const Tokenize& tokenize) const {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = may_cut_ ? end_of_word(text, begin) : text.size();
      const std::string_view word = text.substr(begin, end - begin);
      const std::size_t first = out.size();
      if (!cache_.find(word, out)) {
        tokenize(word, out);
        cache_.store(word, out.data() + first, out.data() + out.size());
      }
      for (std::size_t i = first; i < out.size(); ++i) {
        out[i].begin += static_cast<std::uint32_t>(begin);
        out[i].end += static_cast<std::uint32_t>(begin);
      }
      begin = end;
    }
  }

 private:
  static std::size_t end_of_word(std::string_view text, std::size_t begin) {
    while (text.substr(begin).starts_with(kSpace)) {
      begin += kSpace.size();
    }
    return std::min(text.find(kSpace, begin), text.size());
  }

  bool may_cut_ = true;
  mutable WordCache cache_;
};

}  // namespace refrag

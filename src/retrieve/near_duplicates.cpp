#include "retrieve/near_duplicates.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace refrag {
namespace {

constexpr std::size_t kWordsInGram = 5;

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// FNV-1a of the word, upper-case ASCII letters as small ones.
std::uint64_t hash_word(std::string_view word) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : word) {
    const char folded = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    hash = (hash ^ static_cast<unsigned char>(folded)) * 0x100000001b3;
  }
  return hash;
}

std::vector<std::uint64_t> words_of(std::string_view text) {
  std::vector<std::uint64_t> words;
  for (auto at = text.begin(); at != text.end();) {
    const auto begin = std::find_if_not(at, text.end(), is_space);
    at = std::find_if(begin, text.end(), is_space);
    if (begin != at) {
      words.push_back(hash_word({begin, at}));
    }
  }
  return words;
}

// A text of fewer words is one gram.
std::vector<std::uint64_t> grams_of(std::string_view text) {
  const std::vector<std::uint64_t> words = words_of(text);
  std::vector<std::uint64_t> grams;
  for (std::size_t begin = 0; begin == 0 || begin + kWordsInGram <= words.size(); ++begin) {
    std::uint64_t hash = 0;
    for (std::size_t i = begin; i < std::min(begin + kWordsInGram, words.size()); ++i) {
      hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15;
    }
    grams.push_back(hash);
  }
  std::sort(grams.begin(), grams.end());
  grams.erase(std::unique(grams.begin(), grams.end()), grams.end());
  return grams;
}

double jaccard(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  std::size_t common = 0;
  for (auto i = a.begin(), j = b.begin(); i != a.end() && j != b.end();) {
    if (*i == *j) {
      ++common;
      ++i;
      ++j;
    } else {
      *i < *j ? ++i : ++j;
    }
  }
  return static_cast<double>(common) / static_cast<double>(a.size() + b.size() - common);
}

}  // namespace

bool NearDuplicates::repeats(std::string_view text) {
  std::vector<std::uint64_t> grams = grams_of(text);
  const bool is_repeated = std::any_of(kept_.begin(), kept_.end(), [&](const std::vector<std::uint64_t>& kept) {
    return jaccard(grams, kept) >= overlap_;
  });
  if (!is_repeated) {
    kept_.push_back(std::move(grams));
  }
  return is_repeated;
}

}  // namespace refrag

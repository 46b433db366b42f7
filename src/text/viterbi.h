#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/prefix_trie.h"
#include "text/unicode.h"
#include "text/word_model.h"

namespace refrag {

constexpr std::uint32_t kNoCut = ~0U;

/// The best way to a place in a text.
template <typename Score>
struct CutNode {
  Score score = 0;
  std::uint32_t begin = kNoCut;  // of the last piece
  TokenId id = 0;
};

/// The cut of a text into pieces whose scores have the greatest sum; of equal sums, that whose last piece begins first.
/// `Score` is the precision of the sums, which decides near ties: float as SentencePiece has it, double as
/// `tokenizers`. A character that is no piece costs `unknown_score` and is `unknown`. `score_of` gives a piece's score
/// by id and bytes.
template <typename Score, typename ScoreOf>
std::vector<WordToken> best_cut(std::string_view text, const PrefixTrie& pieces, const ScoreOf& score_of,
                                TokenId unknown, Score unknown_score) {
  std::vector<CutNode<Score>> best(text.size() + 1);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t character = code_point_at(text, begin).length;
    const Score score_here = best[begin].score;
    const auto offer = [&](std::size_t length, TokenId id, Score score) {
      CutNode<Score>& node = best[begin + length];
      const Score sum = score_here + score;
      if (node.begin == kNoCut || sum > node.score) {
        node = {sum, static_cast<std::uint32_t>(begin), id};
      }
    };
    bool knows_character = false;
    pieces.for_each_prefix(text.substr(begin), [&](std::size_t length, TokenId id) {
      offer(length, id, score_of(id, length));
      knows_character = knows_character || length == character;
    });
    if (!knows_character) {
      offer(character, unknown, unknown_score);
    }
    begin += character;
  }
  std::vector<WordToken> cut;
  for (auto end = static_cast<std::uint32_t>(text.size()); end > 0; end = best[end].begin) {
    cut.push_back({best[end].id, best[end].begin, end});
  }
  std::reverse(cut.begin(), cut.end());
  return cut;
}

}  // namespace refrag

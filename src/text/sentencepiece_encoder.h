#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/token.h"
#include "text/aligned_text.h"
#include "text/byte_range.h"
#include "text/charsmap.h"
#include "text/prefix_trie.h"
#include "text/sentencepiece_model.h"
#include "text/word_cutter.h"
#include "text/word_model.h"

namespace refrag {

/// Text to pieces exactly as SentencePiece 0.2 cuts it. Not libsentencepiece: Debian's 0.1.97 sums scores partly in
/// double, so that ties fall otherwise than in 0.2, and it ends the process or reads out of bounds on a hostile file.
/// Immutable, thread-safe.
class SentencePieceEncoder {
 public:
  /// Throws kCorrupt for broken normalization rules, naming `where`.
  SentencePieceEncoder(const SentencePieceModel& model, const std::string& where);

  struct Piece {
    TokenId id = 0;  // of the piece, whatever the model's ids are
    ByteRange range;
  };
  /// `text` is valid UTF-8; its first byte is byte `first` of the original. The dummy prefix is the space in front that
  /// the model may ask for.
  std::vector<Piece> encode(std::string_view text, std::uint32_t first, bool with_dummy_prefix) const;

 private:
  AlignedText normalize(std::string_view text, std::uint32_t first, bool with_dummy_prefix) const;
  /// What the text at its start becomes, and how many bytes that takes.
  CharsMap::Rule normalize_prefix(std::string_view text) const;
  std::size_t user_defined_length(std::string_view text) const;  // of the longest that `text` begins with; 0: none

  std::vector<WordToken> cut_by_unigram(std::string_view text) const;
  std::vector<WordToken> cut_by_merges(std::string_view text) const;
  void merge_word(std::string_view word, std::vector<WordToken>& out) const;
  float score_of(TokenId id, std::size_t length) const;

  bool is_bpe_;
  bool adds_dummy_prefix_;
  bool removes_extra_spaces_;
  TokenId unknown_;
  std::optional<CharsMap> rules_;
  std::vector<float> scores_;  // by piece id
  std::vector<SentencePieceModel::Type> types_;
  std::vector<TokenId> bytes_;                           // byte pieces by byte; none without byte fallback
  std::unordered_map<std::string_view, TokenId> words_;  // BPE: pieces that merges may give, in texts_
  std::vector<std::string> texts_;
  std::size_t longest_ = 0;  // bytes of a word
  WordCutter cutter_;        // BPE
  PrefixTrie user_defined_;
  PrefixTrie unigrams_;
  float least_score_ = 0;  // of the normal pieces
  float most_score_ = 0;
};

}  // namespace refrag

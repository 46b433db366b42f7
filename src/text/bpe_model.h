#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "text/word_cutter.h"
#include "text/word_model.h"

namespace refrag {

/// Byte-pair encoding: a word's characters, joined pair by pair in the order of the merges. A word of n characters
/// takes n log n steps.
class BpeModel : public WordModel {
 public:
  /// `json` is the "model"; its vocabulary is in `vocabulary` already, which must outlive the model.
  BpeModel(JsonReader& json, const Vocabulary& vocabulary);
  void tokenize(std::string_view word, std::vector<WordToken>& out) const override;

 private:
  struct Symbol;
  struct Merge {
    std::uint32_t rank = 0;
    TokenId result = 0;
  };

  /// Pairs of ids to merges: open addressing, at most half full.
  class MergeTable {
   public:
    explicit MergeTable(std::size_t merges);
    void set(TokenId left, TokenId right, Merge merge);
    const Merge* find(TokenId left, TokenId right) const;

   private:
    struct Slot {
      std::uint64_t pair = kEmpty;
      Merge merge;
    };
    static constexpr std::uint64_t kEmpty = ~0ULL;
    std::size_t slot_of(std::uint64_t pair) const;
    std::vector<Slot> slots_;
  };

  static MergeTable read_merges(JsonReader& json, const Vocabulary& vocabulary);
  std::vector<Symbol> characters_of(std::string_view word) const;
  void merge_all(std::vector<Symbol>& symbols) const;

  const Vocabulary& vocabulary_;
  MergeTable merges_;
  bool ignores_merges_ = false;  // a word that is a token is that token, whatever the merges say
  bool fuses_unknown_ = false;
  std::optional<TokenId> unknown_;
  std::optional<ByteTokens> bytes_;  // for unknown characters
  WordCutter words_;
};

}  // namespace refrag

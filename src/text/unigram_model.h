#pragma once
#include <optional>
#include <vector>

#include "text/prefix_trie.h"
#include "text/word_model.h"

namespace refrag {

/// SentencePiece's unigram model as `tokenizers` runs it: the pieces whose scores have the greatest sum (Viterbi).
class UnigramModel : public WordModel {
 public:
  /// `json` is the "model"; its vocabulary is in `vocabulary` already, which must outlive the model.
  UnigramModel(JsonReader& json, const Vocabulary& vocabulary);
  void tokenize(std::string_view word, std::vector<WordToken>& out) const override;

 private:
  void add_unknown(std::string_view word, std::uint32_t begin, std::uint32_t end, std::vector<WordToken>& out) const;

  const Vocabulary& vocabulary_;
  PrefixTrie pieces_;
  std::vector<double> scores_;  // by id, log-probabilities
  double unknown_score_ = 0;
  TokenId unknown_ = 0;
  std::optional<ByteTokens> bytes_;  // for unknown characters
};

}  // namespace refrag

#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "text/word_model.h"

namespace refrag {

/// BERT's WordPiece: the longest token that the word begins with, then the longest continuation, and so on; one unknown
/// token where that fails.
class WordPieceModel : public WordModel {
 public:
  /// `json` is the "model"; its vocabulary is in `vocabulary` already, which must outlive the model.
  WordPieceModel(JsonReader& json, const Vocabulary& vocabulary);
  void tokenize(std::string_view word, std::vector<WordToken>& out) const override;

 private:
  const Vocabulary& vocabulary_;
  std::string continuation_;  // "##"
  TokenId unknown_ = 0;
  std::size_t max_characters_ = 100;  // a longer word is unknown
};

}  // namespace refrag

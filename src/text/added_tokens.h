#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_reader.h"
#include "base/token.h"
#include "text/prefix_trie.h"
#include "text/regex.h"

namespace refrag {

/// A token that is found in the text itself, before the text is cut into words.
struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool single_word = false;  // not where it touches a word character
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = true;    // looked for in normalized text, itself normalized
  bool special = false;
};

/// From {"content", "single_word", ...}; the id is the caller's. A string is its content alone.
AddedToken read_added_token(const Json& json, const std::string& field, TokenId id);

/// Finds added tokens as `tokenizers` does: leftmost first, then the longest. Immutable.
class AddedTokenFinder {
 public:
  AddedTokenFinder() = default;
  /// `patterns` are what the text holds where the token of the same index stands.
  AddedTokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& patterns);

  struct Match {
    TokenId id = 0;
    Span span;  // with the white space that it takes
  };
  /// `may_match` decides whether a token counts at a place (the span is without white space).
  using MayMatch = std::function<bool(const AddedToken&, const Span&)>;
  std::vector<Match> find(std::string_view text, const MayMatch& may_match) const;

 private:
  std::vector<AddedToken> tokens_;
  PrefixTrie patterns_;
};

}  // namespace refrag

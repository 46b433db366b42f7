#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_reader.h"
#include "text/regex.h"

namespace refrag {

/// One token on its way back into text.
struct TokenText {
  enum class Kind {
    kNothing,  // leaves no trace: a special token that is skipped
    kText,     // as the vocabulary spells it
    kByte,     // one byte of a character that the vocabulary does not have
    kBytes,    // bytes of the text as they are
  };
  Kind kind = Kind::kNothing;
  std::string text;
};

/// How spelt tokens become text: the "decoder" of a tokenizer.json, or SentencePiece's way. Immutable, thread-safe.
class Detokenizer {
 public:
  /// What a leading "▁" of the text becomes where SentencePiece put it there or would have removed it.
  enum class LeadingSpace { kKeep, kDropOne, kDropWhileEmpty };

  Detokenizer() = default;  // spellings are the text's bytes
  /// Throws kUnsupported with the name of a step that is not known or that stands where it cannot be streamed.
  explicit Detokenizer(JsonReader json);
  static Detokenizer joining_with_spaces();  // where a tokenizer.json has no decoder
  static Detokenizer of_sentencepiece(LeadingSpace leading_space);

  /// What a token adds after others: maybe part of a character.
  std::string text_after_others(const TokenText& token) const;
  bool strips_leading_space() const;

  class Stream;

 private:
  struct Step {
    enum class Kind { kReplace, kStrip, kMetaspace, kWordPiece, kByteLevel, kJoinWithSpace };
    Kind kind = Kind::kReplace;
    std::optional<Regex> pattern;  // of kReplace
    std::string content;           // kReplace: what comes instead; kStrip, kMetaspace: the character; kWordPiece: "##"
    std::size_t start = 0;         // kStrip: how many at most
    std::size_t stop = 0;
    bool is_on = true;  // kMetaspace: the first token loses its spaces; kWordPiece: cleanup
    std::string apply(const std::string& token, bool is_first) const;
  };
  /// What a run of byte tokens that is not UTF-8 becomes.
  enum class ByteRuns {
    kNone,          // there are no byte tokens
    kAllOrNothing,  // `tokenizers`: one U+FFFD a byte of the whole run
    kByCharacter,   // SentencePiece: one U+FFFD a byte that is not part of a character
  };
  void add(JsonReader json);
  static std::string apply(const std::vector<Step>& steps, std::string token, bool is_first);
  std::optional<char> byte_of(const TokenText& token, const std::string& text) const;

  std::vector<Step> before_bytes_;  // on each token
  ByteRuns byte_runs_ = ByteRuns::kNone;
  std::vector<Step> after_bytes_;  // on each token, byte runs being one
  bool is_fused_ = false;          // while reading: what follows sees one text
  std::string strip_;              // at the ends of the whole text: the character
  std::size_t strip_start_ = 0;    // how many at most
  std::size_t strip_stop_ = 0;
  LeadingSpace leading_space_ = LeadingSpace::kKeep;
};

/// Text as its tokens arrive; all that it gives, joined, is the whole text. What may still change is held back: half
/// characters and runs of byte tokens.
class Detokenizer::Stream {
 public:
  explicit Stream(const Detokenizer& detokenizer, bool at_start = true);
  std::string add(const Detokenizer& detokenizer, const TokenText& token);
  std::string finish(const Detokenizer& detokenizer);

 private:
  std::string settle_run(const Detokenizer& detokenizer, bool is_over);
  std::string strip_ends(const Detokenizer& detokenizer, std::string text);
  std::string whole_characters(const std::string& text);

  bool is_first_;
  LeadingSpace leading_space_;
  std::size_t strip_start_;
  std::string run_;        // bytes of byte tokens, not yet settled
  std::string held_back_;  // the end of the text, in case it is to be stripped
  std::string half_;       // the beginning of a character
};

}  // namespace refrag

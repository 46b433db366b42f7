#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"
#include "text/byte_range.h"
#include "text/detokenizer.h"

namespace refrag {

/// Token ids and where each came from. Ranges never overlap, never decrease and never cut a character: where tokens
/// share one, the first has it and the others have empty ranges after it.
struct Encoding {
  std::vector<TokenId> ids;
  std::vector<ByteRange> ranges;
};

/// Whether a special token that is written out in the text ("</s>") becomes that token. Added tokens that are not
/// special (a run of spaces, a word) are part of the vocabulary and found in any text.
enum class SpecialTokens {
  kAsText,  // user text: never
  kParse,   // our own templates: yes
};

/// One piece of a prompt: ours (special tokens in it count) or a user's (they are plain text).
struct TextPiece {
  std::string text;
  SpecialTokens special = SpecialTokens::kAsText;
};

/// Text to token ids and back, as the checkpoint's own tokenizer does it. SentencePiece (tokenizer.model), byte-level
/// BPE, LLaMA-style BPE, Unigram and WordPiece (tokenizer.json, vocab.txt). Immutable and thread-safe.
class Tokenizer {
 public:
  /// Takes tokenizer.model where there is one, else tokenizer.json, else vocab.txt. Throws kNotFound, kCorrupt, or
  /// kUnsupported with the name of the pre-tokenizer, normalizer or model that is not known.
  static std::shared_ptr<const Tokenizer> load(const std::filesystem::path& directory);
  virtual ~Tokenizer() = default;

  /// The ids of `text` alone: no BOS, no EOS. Invalid UTF-8 counts as U+FFFD.
  Encoding encode_with_ranges(std::string_view text, SpecialTokens special = SpecialTokens::kAsText) const;
  /// Pieces as one text: tokens may span their borders, as in Hugging Face's rendered chat templates, but special
  /// tokens are found only inside pieces that allow them. Ranges are bytes of the pieces joined, each made valid UTF-8.
  virtual Encoding encode_pieces(const std::vector<TextPiece>& pieces) const = 0;
  std::vector<TokenId> encode(std::string_view text, SpecialTokens special = SpecialTokens::kAsText) const;
  /// As the model is given one text: with the special tokens of the post-processor or of tokenizer_config.json.
  virtual std::vector<TokenId> encode_for_model(std::string_view text,
                                                SpecialTokens special = SpecialTokens::kAsText) const = 0;
  /// The wrap of encode_for_model around a pair of texts ([CLS] a [SEP] b [SEP]) with token type ids, for
  /// cross-encoders.
  struct Pair {
    std::vector<TokenId> ids;
    std::vector<TokenId> type_ids;
  };
  virtual Pair encode_pair(std::string_view first, std::string_view second) const = 0;

  /// Ids that are not in the vocabulary leave no trace.
  virtual std::string decode(const std::vector<TokenId>& ids, bool skip_special = true) const = 0;
  /// The bytes that `id` adds when it follows other tokens: may be part of a character. Empty for special tokens.
  virtual std::string bytes_of(TokenId id) const = 0;
  /// True where decoding drops one leading space of the very first token (SentencePiece with a dummy prefix).
  virtual bool strips_leading_space() const = 0;
  /// How ids become text one by one, special tokens left out (IncrementalDecoder). Unless overridden: bytes_of, joined.
  virtual TokenText text_of(TokenId id) const { return {TokenText::Kind::kBytes, bytes_of(id)}; }
  virtual const Detokenizer& detokenizer() const;

  virtual std::size_t vocab_size() const = 0;
  virtual std::optional<TokenId> id_of(std::string_view token) const = 0;  // special tokens included
  virtual std::string token_of(TokenId id) const = 0;                      // as the vocabulary spells it
  virtual bool is_special(TokenId id) const = 0;
  virtual std::optional<TokenId> bos() const = 0;  // only where encode_for_model begins with it
  virtual std::optional<TokenId> eos() const = 0;  // the token that ends a text, known by name or config
  virtual std::optional<TokenId> pad() const = 0;

  /// SHA-256 of everything that decides the ids (files as they are), for identities.
  virtual const std::string& identity() const = 0;
};

/// Turns a growing list of ids into text without ever giving half a character. All that it gives, joined, is what
/// Tokenizer::decode gives for the ids.
class IncrementalDecoder {
 public:
  /// `at_start` false: the text goes on from a prompt, its first token keeps its space.
  explicit IncrementalDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool at_start = true);
  std::string add(TokenId id);  // what can be shown now; "" while a character is incomplete
  std::string finish();         // what is left, incomplete bytes as U+FFFD

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  Detokenizer::Stream stream_;
};

}  // namespace refrag

#pragma once
#include <optional>
#include <vector>

#include "base/json_reader.h"
#include "base/token.h"
#include "text/vocabulary.h"

namespace refrag {

/// The special tokens that a model is given around one text or a pair: "<s> A </s>", "[CLS] A [SEP] B [SEP]".
class PostProcessor {
 public:
  struct Item {
    enum class Kind { kTokens, kFirst, kSecond };
    Kind kind = Kind::kFirst;
    std::vector<TokenId> ids;  // of kTokens
    TokenId type_id = 0;
  };
  using Template = std::vector<Item>;
  static Item tokens(std::vector<TokenId> ids, TokenId type_id = 0) {
    return {Item::Kind::kTokens, std::move(ids), type_id};
  }
  static Item first(TokenId type_id = 0) { return {Item::Kind::kFirst, {}, type_id}; }
  static Item second(TokenId type_id = 0) { return {Item::Kind::kSecond, {}, type_id}; }

  PostProcessor();  // the texts alone
  PostProcessor(Template single, Template pair) : single_(std::move(single)), pair_(std::move(pair)) {}
  /// The "post_processor" of a tokenizer.json. Throws kUnsupported with the name of a type that is not known, kCorrupt
  /// for ids that are not in `vocabulary`.
  PostProcessor(JsonReader json, const Vocabulary& vocabulary);

  struct Wrapped {
    std::vector<TokenId> ids;
    std::vector<TokenId> type_ids;
  };
  Wrapped wrap(const std::vector<TokenId>& text) const;
  Wrapped wrap(const std::vector<TokenId>& first, const std::vector<TokenId>& second) const;

  std::vector<TokenId> special_ids() const;      // all that it adds
  std::optional<TokenId> leading_token() const;  // what one text begins with

 private:
  void read(JsonReader& json);
  void check(const Vocabulary& vocabulary, const std::string& field) const;
  static Wrapped fill(const Template& items, const std::vector<TokenId>& first, const std::vector<TokenId>& second);

  Template single_;
  Template pair_;
};

}  // namespace refrag

#include "text/json_tokenizer.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <set>
#include <utility>

#include "base/files.h"
#include "base/hash.h"
#include "base/message.h"
#include "text/added_tokens.h"
#include "text/aligned_text.h"
#include "text/bpe_model.h"
#include "text/json_parts.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pre_tokenizer.h"
#include "text/prompt_pieces.h"
#include "text/unigram_model.h"
#include "text/wordpiece_model.h"

namespace refrag {
namespace {

/// Old files leave the model's type out; what it has tells.
std::string type_of_model(JsonReader& model) {
  return model.text("type", model.has("merges") ? "BPE" : model.has("unk_id") ? "Unigram" : "WordPiece");
}

/// {"token": id, ...} of BPE and WordPiece, [["token", score], ...] of Unigram.
void read_vocabulary(JsonReader& model, Vocabulary& vocabulary) {
  const std::string field = model.path_of("vocab");
  const Json& vocab = model.value("vocab");
  if (type_of_model(model) == "Unigram") {
    if (!vocab.is_array() || vocab.empty()) {
      model.fail("vocab", "an array of [token, score]");
    }
    for (const Json& entry : vocab) {
      if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
        model.fail("vocab", "an array of [token, score]");
      }
      vocabulary.add(entry[0].get<std::string>(), static_cast<TokenId>(vocabulary.size()), field);
    }
    return;
  }
  if (!vocab.is_object()) {
    model.fail("vocab", "an object of tokens and their ids");
  }
  for (const auto& [token, id] : vocab.items()) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() > Vocabulary::kMaxId) {
      throw Error(ErrorCode::kCorrupt,
                  message(field, ": token \"", token, "\" has no id from 0 to ", Vocabulary::kMaxId), field);
    }
    vocabulary.add(token, id.get<TokenId>(), field);
  }
}

std::unique_ptr<const WordModel> read_model(JsonReader& json, const Vocabulary& vocabulary) {
  const std::string type = type_of_model(json);
  if (type == "BPE") {
    return std::make_unique<BpeModel>(json, vocabulary);
  }
  if (type == "Unigram") {
    return std::make_unique<UnigramModel>(json, vocabulary);
  }
  if (type == "WordPiece") {
    return std::make_unique<WordPieceModel>(json, vocabulary);
  }
  refuse_type(json, "model", type);
}

class JsonTokenizer : public Tokenizer {
 public:
  JsonTokenizer(const Json& json, const TokenizerConfig& config, const std::string& where, std::string identity);

  Encoding encode_pieces(const std::vector<TextPiece>& pieces) const override;
  std::vector<TokenId> encode_for_model(std::string_view text, SpecialTokens special) const override {
    return post_processor_.wrap(encode(text, special)).ids;
  }
  Pair encode_pair(std::string_view first, std::string_view second) const override {
    PostProcessor::Wrapped wrapped = post_processor_.wrap(encode(first), encode(second));
    return {std::move(wrapped.ids), std::move(wrapped.type_ids)};
  }

  std::string decode(const std::vector<TokenId>& ids, bool skip_special) const override;
  std::string bytes_of(TokenId id) const override { return detokenizer_.text_after_others(text_of(id)); }
  bool strips_leading_space() const override { return detokenizer_.strips_leading_space(); }
  TokenText text_of(TokenId id) const override { return text_of(id, true); }
  const Detokenizer& detokenizer() const override { return detokenizer_; }

  std::size_t vocab_size() const override { return vocabulary_.size(); }
  std::optional<TokenId> id_of(std::string_view token) const override { return vocabulary_.id_of(token); }
  std::string token_of(TokenId id) const override { return vocabulary_.token_of(id); }
  bool is_special(TokenId id) const override { return special_.contains(id); }
  std::optional<TokenId> bos() const override { return post_processor_.leading_token(); }
  std::optional<TokenId> eos() const override { return eos_; }
  std::optional<TokenId> pad() const override { return pad_; }
  const std::string& identity() const override { return identity_; }

 private:
  std::vector<AddedToken> read_added_tokens(JsonReader& json);
  void mark_special(const TokenizerConfig& config, std::vector<AddedToken>& added);
  void build_finders(const std::vector<AddedToken>& added);
  std::optional<TokenId> find_special(const TokenizerConfig& config, const std::string& name,
                                      std::initializer_list<const char*> usual) const;

  void encode_segment(const JoinedPieces& pieces, const Span& segment, Encoding& out) const;
  void encode_words(const AlignedText& text, Encoding& out) const;
  TokenText text_of(TokenId id, bool skip_special) const;

  Vocabulary vocabulary_;      // the model's and the added tokens
  std::set<TokenId> special_;  // never made from a user's text, left out of decoded text
  Normalizer normalizer_;
  PreTokenizer pre_tokenizer_;
  PostProcessor post_processor_;
  Detokenizer detokenizer_ = Detokenizer::joining_with_spaces();
  std::map<TokenId, std::string> normalized_;  // how normalized added tokens are spelt, by id
  std::unique_ptr<const WordModel> model_;
  AddedTokenFinder added_;             // those looked for in the text as it is
  AddedTokenFinder added_normalized_;  // those looked for after the normalizer
  std::optional<TokenId> eos_;
  std::optional<TokenId> pad_;
  std::string identity_;
};

JsonTokenizer::JsonTokenizer(const Json& json, const TokenizerConfig& config, const std::string& where,
                             std::string identity)
    : identity_(std::move(identity)) {
  JsonReader file(json, where, ErrorCode::kCorrupt);
  JsonReader model = file.object("model");
  read_vocabulary(model, vocabulary_);
  std::vector<AddedToken> added = read_added_tokens(file);
  if (file.has("post_processor")) {
    post_processor_ = PostProcessor(file.object("post_processor"), vocabulary_);
  }
  mark_special(config, added);
  if (file.has("normalizer")) {
    normalizer_ = Normalizer(file.object("normalizer"));
  }
  if (file.has("pre_tokenizer")) {
    pre_tokenizer_ = PreTokenizer(file.object("pre_tokenizer"));
  }
  if (file.has("decoder")) {
    detokenizer_ = Detokenizer(file.object("decoder"));
  }
  model_ = read_model(model, vocabulary_);
  build_finders(added);
  eos_ = find_special(config, "eos_token", {"</s>", "<|end_of_text|>", "<|endoftext|>", "<eos>", "[SEP]"});
  pad_ = find_special(config, "pad_token", {"<pad>", "[PAD]", "<|pad|>", "<|finetune_right_pad_id|>"});
}

std::vector<AddedToken> JsonTokenizer::read_added_tokens(JsonReader& json) {
  std::vector<AddedToken> added;
  for (JsonReader& entry : json.objects("added_tokens")) {
    const auto id = static_cast<TokenId>(entry.integer("id", 0, Vocabulary::kMaxId));
    AddedToken token = read_added_token(entry.json(), entry.path_of("content"), id);
    if (token.content.empty()) {
      continue;
    }
    if (const std::optional<TokenId> known = vocabulary_.id_of(token.content)) {
      token.id = *known;  // the model's own id counts, as in `tokenizers`
    } else {
      vocabulary_.add(token.content, token.id, entry.path_of("id"));
      vocabulary_.reserve_token(token.id);
    }
    added.push_back(std::move(token));
  }
  return added;
}

/// Special are those that say so, those that the configuration names, and those that the post-processor adds.
void JsonTokenizer::mark_special(const TokenizerConfig& config, std::vector<AddedToken>& added) {
  const std::vector<std::string> named = config.all_special();
  const std::vector<TokenId> wrapping = post_processor_.special_ids();
  for (AddedToken& token : added) {
    token.special = token.special || std::find(named.begin(), named.end(), token.content) != named.end() ||
                    std::find(wrapping.begin(), wrapping.end(), token.id) != wrapping.end();
    if (token.special) {
      special_.insert(token.id);
      vocabulary_.reserve_token(token.id);
    }
  }
}

void JsonTokenizer::build_finders(const std::vector<AddedToken>& added) {
  std::vector<AddedToken> plain;
  std::vector<AddedToken> normalized;
  std::vector<std::string> plain_patterns;
  std::vector<std::string> normalized_patterns;
  for (const AddedToken& token : added) {
    if (token.normalized) {
      normalized.push_back(token);
      normalized_patterns.push_back(normalizer_(AlignedText(token.content, 0)).text());
      normalized_[token.id] = normalized_patterns.back();
    } else {
      plain.push_back(token);
      plain_patterns.push_back(token.content);
    }
  }
  added_ = AddedTokenFinder(std::move(plain), plain_patterns);
  added_normalized_ = AddedTokenFinder(std::move(normalized), normalized_patterns);
}

std::optional<TokenId> JsonTokenizer::find_special(const TokenizerConfig& config, const std::string& name,
                                                   std::initializer_list<const char*> usual) const {
  if (const std::optional<std::string> token = config.special_token(name)) {
    return vocabulary_.id_of(*token);
  }
  for (const char* token : usual) {
    const std::optional<TokenId> id = vocabulary_.id_of(token);
    if (id && special_.contains(*id)) {
      return id;
    }
  }
  return std::nullopt;
}

Encoding JsonTokenizer::encode_pieces(const std::vector<TextPiece>& pieces) const {
  const JoinedPieces joined(pieces);
  const std::string& text = joined.text();
  Encoding out;
  std::size_t done = 0;
  const auto may_match = [&](const AddedToken& token, const Span& span) {
    return !token.special || joined.allows_special(span.begin, span.end);
  };
  for (const AddedTokenFinder::Match& match : added_.find(text, may_match)) {
    encode_segment(joined, {done, match.span.begin}, out);
    out.ids.push_back(match.id);
    out.ranges.push_back({static_cast<std::uint32_t>(match.span.begin), static_cast<std::uint32_t>(match.span.end)});
    done = match.span.end;
  }
  encode_segment(joined, {done, text.size()}, out);
  out.ranges = tidy_ranges(text, std::move(out.ranges));
  return out;
}

void JsonTokenizer::encode_segment(const JoinedPieces& pieces, const Span& segment, Encoding& out) const {
  if (segment.begin == segment.end) {
    return;
  }
  const AlignedText text = normalizer_(AlignedText(pieces.text().substr(segment.begin, segment.end - segment.begin),
                                                   static_cast<std::uint32_t>(segment.begin)));
  const auto may_match = [&](const AddedToken& token, const Span& span) {
    const ByteRange origin = text.origin(span.begin, span.end);
    return !token.special || pieces.allows_special(origin.begin, origin.end);
  };
  std::size_t done = 0;
  for (const AddedTokenFinder::Match& match : added_normalized_.find(text.text(), may_match)) {
    encode_words(text.slice(done, match.span.begin), out);
    out.ids.push_back(match.id);
    out.ranges.push_back(text.origin(match.span.begin, match.span.end));
    done = match.span.end;
  }
  encode_words(done == 0 ? text : text.slice(done, text.text().size()), out);
}

void JsonTokenizer::encode_words(const AlignedText& text, Encoding& out) const {
  const Words words = pre_tokenizer_(text);
  std::vector<WordToken> tokens;
  for (const Span& word : words.spans) {
    tokens.clear();
    model_->tokenize(std::string_view(words.text.text()).substr(word.begin, word.end - word.begin), tokens);
    for (const WordToken& token : tokens) {
      out.ids.push_back(token.id);
      out.ranges.push_back(words.text.origin(word.begin + token.begin, word.begin + token.end));
    }
  }
}

TokenText JsonTokenizer::text_of(TokenId id, bool skip_special) const {
  if (!vocabulary_.has(id)) {
    return {};
  }
  const auto normalized = normalized_.find(id);
  const std::string& spelt = normalized == normalized_.end() ? vocabulary_.token_of(id) : normalized->second;
  // `tokenizers` knows special tokens by their spelling: one that its normalizer changes is shown.
  if (skip_special && is_special(id) && is_special(vocabulary_.id_of(spelt).value_or(-1))) {
    return {};
  }
  return {TokenText::Kind::kText, spelt};
}

std::string JsonTokenizer::decode(const std::vector<TokenId>& ids, bool skip_special) const {
  Detokenizer::Stream stream(detokenizer_);
  std::string text;
  for (const TokenId id : ids) {
    text += stream.add(detokenizer_, text_of(id, skip_special));
  }
  return text + stream.finish(detokenizer_);
}

}  // namespace

std::shared_ptr<const Tokenizer> load_json_tokenizer(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "tokenizer.json";
  const TokenizerConfig config = TokenizerConfig::load(directory);
  std::string identity = Sha256().add_field("tokenizer.json").add_field(read_file(path)).hex();
  return make_json_tokenizer(parse_json_file(path), config, path.string() + ": ", std::move(identity));
}

std::shared_ptr<const Tokenizer> make_json_tokenizer(const Json& json, const TokenizerConfig& config,
                                                     const std::string& where, std::string identity) {
  return std::make_shared<JsonTokenizer>(json, config, where, std::move(identity));
}

}  // namespace refrag

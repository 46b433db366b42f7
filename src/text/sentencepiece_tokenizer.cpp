#include "text/sentencepiece_tokenizer.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/files.h"
#include "base/hash.h"
#include "base/message.h"
#include "refrag/error.h"
#include "text/added_tokens.h"
#include "text/post_processor.h"
#include "text/prompt_pieces.h"
#include "text/sentencepiece_encoder.h"
#include "text/sentencepiece_model.h"
#include "text/tokenizer_config.h"
#include "text/vocabulary.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;
using Type = SentencePieceModel::Type;

/// How a checkpoint's classes number the pieces and wrap a text.
enum class Family { kLlama, kXlmRoberta, kT5 };

Family family_of(const TokenizerConfig& config, const fs::path& directory) {
  std::string name = config.tokenizer_class;
  if (name.ends_with("Fast")) {
    name.resize(name.size() - 4);
  }
  if (name.empty() && fs::exists(directory / "config.json")) {
    const Json model = parse_json_file(directory / "config.json");
    name = model.is_object() && model.value("model_type", Json()) == "xlm-roberta" ? "XLMRobertaTokenizer" : "";
  }
  if (name == "XLMRobertaTokenizer") {
    return Family::kXlmRoberta;
  }
  if (name == "T5Tokenizer") {
    return Family::kT5;
  }
  for (const char* known : {"", "LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "PreTrainedTokenizer"}) {
    if (name == known) {
      return Family::kLlama;
    }
  }
  throw Error(ErrorCode::kUnsupported, message(directory.string(), ": tokenizer.model with the tokenizer class \"",
                                               config.tokenizer_class, "\" is not supported"));
}

/// The model's ids of pieces. fairseq, XLM-R's home, put its own special tokens first.
struct PieceIds {
  static constexpr TokenId kBegin = 0, kPad = 1, kEnd = 2, kUnknown = 3;
  bool is_fairseq = false;
  TokenId unknown_piece = 0;

  TokenId id_of_piece(TokenId piece) const {
    if (!is_fairseq) {
      return piece;
    }
    return piece == unknown_piece ? kUnknown : piece + 1;
  }
};

class SentencePieceTokenizer : public Tokenizer {
 public:
  explicit SentencePieceTokenizer(const fs::path& directory);

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
  void add_pieces(const SentencePieceModel& model);
  void add_added_tokens(const TokenizerConfig& config, const std::string& where);
  void choose_special_tokens(const SentencePieceModel& model, const TokenizerConfig& config);
  void choose_wrap(const TokenizerConfig& config);
  std::optional<TokenId> special_id(const TokenizerConfig& config, const char* name, std::int64_t piece,
                                    const SentencePieceModel& model) const;
  void encode_segment(const std::string& text, const Span& segment, Encoding& out) const;
  TokenText text_of(TokenId id, bool skip_special) const;

  Family family_ = Family::kLlama;
  PieceIds numbering_;
  std::optional<SentencePieceEncoder> encoder_;
  bool prefix_at_start_ = true;       // whether a text begins with the model's dummy prefix
  bool prefix_after_special_ = true;  // and what follows a special token
  Vocabulary vocabulary_;
  std::vector<TokenText> texts_;    // by id: how pieces that are not special become text
  std::set<TokenId> special_;       // control pieces and special added tokens
  std::vector<AddedToken> parsed_;  // what finder_ looks for
  AddedTokenFinder finder_;
  PostProcessor post_processor_;
  Detokenizer detokenizer_;
  std::optional<TokenId> bos_;
  std::optional<TokenId> eos_;
  std::optional<TokenId> pad_;
  std::string identity_;
};

SentencePieceTokenizer::SentencePieceTokenizer(const fs::path& directory) {
  const fs::path path = directory / "tokenizer.model";
  const std::string bytes = read_file(path);
  const SentencePieceModel model = SentencePieceModel::read(bytes, path.string());
  const TokenizerConfig config = TokenizerConfig::load(directory);
  family_ = family_of(config, directory);
  encoder_.emplace(model, path.string());
  const bool is_legacy = config.is_legacy || family_ != Family::kLlama;
  prefix_at_start_ = is_legacy || config.adds_prefix_space;
  prefix_after_special_ = is_legacy;
  add_pieces(model);
  add_added_tokens(config, path.string());
  choose_special_tokens(model, config);
  choose_wrap(config);
  finder_ = AddedTokenFinder(parsed_, [&] {
    std::vector<std::string> patterns;
    for (const AddedToken& token : parsed_) {
      patterns.push_back(token.content);
    }
    return patterns;
  }());
  detokenizer_ =
      Detokenizer::of_sentencepiece(model.removes_extra_spaces ? Detokenizer::LeadingSpace::kDropWhileEmpty
                                    : model.adds_dummy_prefix && prefix_at_start_ ? Detokenizer::LeadingSpace::kDropOne
                                                                                  : Detokenizer::LeadingSpace::kKeep);
  Sha256 hash;
  hash.add_field("tokenizer.model").add_field(bytes);
  hash.add_field(message(static_cast<int>(family_), prefix_at_start_, prefix_after_special_));
  for (const AddedToken& token : parsed_) {
    hash.add_field(token.content)
        .add_field(message(token.id, " ", token.lstrip, token.rstrip, token.single_word, token.special));
  }
  for (const TokenId id : post_processor_.wrap({}).ids) {
    hash.add_field(message(id));
  }
  identity_ = hash.hex();
}

void SentencePieceTokenizer::add_pieces(const SentencePieceModel& model) {
  const auto& pieces = model.pieces;
  numbering_.unknown_piece = model.unknown_id();
  numbering_.is_fairseq = family_ == Family::kXlmRoberta;
  if (numbering_.is_fairseq) {
    if (pieces.size() < 3 || numbering_.unknown_piece != 0 || pieces[1].type != Type::kControl ||
        pieces[2].type != Type::kControl) {
      throw Error(ErrorCode::kCorrupt, "tokenizer.model: XLM-R's begins with one unknown and two control pieces");
    }
  }
  const auto add = [&](const std::string& text, TokenId id, TokenText::Kind kind, const std::string& as_text) {
    vocabulary_.add(text, id, "tokenizer.model");
    texts_.resize(vocabulary_.size());
    texts_[static_cast<std::size_t>(id)] = {kind, as_text};
  };
  const auto add_special = [&](const std::string& text, TokenId id) {
    add(text, id, TokenText::Kind::kBytes, text);
    special_.insert(id);
    parsed_.push_back({.id = id, .content = text, .normalized = false, .special = true});
  };
  if (numbering_.is_fairseq) {
    add_special("<s>", PieceIds::kBegin);
    add_special("<pad>", PieceIds::kPad);
    add_special("</s>", PieceIds::kEnd);
  }
  for (std::size_t i = numbering_.is_fairseq ? 3 : 0; i < pieces.size(); ++i) {
    const SentencePieceModel::Piece& piece = pieces[i];
    const TokenId id = numbering_.id_of_piece(static_cast<TokenId>(i));
    if (piece.type == Type::kControl) {
      add_special(piece.text, id);
    } else if (piece.type == Type::kByte) {
      const int byte = std::stoi(piece.text.substr(3, 2), nullptr, 16);
      add(piece.text, id, TokenText::Kind::kByte, std::string(1, static_cast<char>(byte)));
    } else if (piece.type != Type::kUnknown) {
      add(piece.text, id, TokenText::Kind::kText, piece.text);
    }
  }
  const TokenId id = numbering_.id_of_piece(numbering_.unknown_piece);
  const std::string& unknown = pieces[static_cast<std::size_t>(numbering_.unknown_piece)].text;
  add(unknown, id, TokenText::Kind::kBytes, model.unknown_surface);
  parsed_.push_back({.id = id, .content = unknown, .normalized = false, .special = true});
  if (numbering_.is_fairseq) {
    add_special("<mask>", static_cast<TokenId>(pieces.size()) + 1);
    parsed_.back().lstrip = true;
  }
}

void SentencePieceTokenizer::add_added_tokens(const TokenizerConfig& config, const std::string& where) {
  const std::vector<std::string> named = config.all_special();
  for (AddedToken token : config.added) {
    token.special = token.special || std::find(named.begin(), named.end(), token.content) != named.end();
    const auto known = std::find_if(parsed_.begin(), parsed_.end(),
                                    [&](const AddedToken& parsed) { return parsed.content == token.content; });
    if (known != parsed_.end()) {
      token.id = known->id;
      token.special = true;
      *known = token;
      continue;
    }
    if (vocabulary_.token_of(token.id) == token.content) {
      continue;  // a piece: SentencePiece finds it by itself
    }
    vocabulary_.add(token.content, token.id, message(where, " with added_tokens_decoder"));
    texts_.resize(vocabulary_.size());
    texts_[static_cast<std::size_t>(token.id)] = {TokenText::Kind::kBytes, token.content};
    if (token.special) {
      special_.insert(token.id);
    }
    parsed_.push_back(token);
  }
}

std::optional<TokenId> SentencePieceTokenizer::special_id(const TokenizerConfig& config, const char* name,
                                                          std::int64_t piece, const SentencePieceModel& model) const {
  if (const std::optional<std::string> token = config.special_token(name)) {
    return vocabulary_.id_of(*token);
  }
  const bool is_control = piece >= 0 && piece < static_cast<std::int64_t>(model.pieces.size()) &&
                          model.pieces[static_cast<std::size_t>(piece)].type == Type::kControl;
  return is_control ? std::optional(static_cast<TokenId>(piece)) : std::nullopt;
}

void SentencePieceTokenizer::choose_special_tokens(const SentencePieceModel& model, const TokenizerConfig& config) {
  if (family_ == Family::kXlmRoberta) {
    bos_ = PieceIds::kBegin;
    eos_ = PieceIds::kEnd;
    pad_ = PieceIds::kPad;
    return;
  }
  bos_ = special_id(config, "bos_token", model.bos_id, model);
  eos_ = special_id(config, "eos_token", model.eos_id, model);
  pad_ = special_id(config, "pad_token", model.pad_id, model);
}

void SentencePieceTokenizer::choose_wrap(const TokenizerConfig& config) {
  using P = PostProcessor;
  if (family_ == Family::kXlmRoberta) {
    const TokenId begin = PieceIds::kBegin;
    const TokenId end = PieceIds::kEnd;
    post_processor_ = P({P::tokens({begin}), P::first(), P::tokens({end})},
                        {P::tokens({begin}), P::first(), P::tokens({end, end}), P::second(), P::tokens({end})});
    return;
  }
  const bool has_bos = config.adds_bos.value_or(family_ == Family::kLlama) && bos_;
  const bool has_eos = config.adds_eos.value_or(family_ == Family::kT5) && eos_;
  P::Template single;
  P::Template pair;
  const auto add = [&](bool is_there, P::Template& items, std::optional<TokenId> id, TokenId type_id) {
    if (is_there) {
      items.push_back(P::tokens({*id}, type_id));
    }
  };
  const TokenId second_type = family_ == Family::kLlama ? 1 : 0;
  add(has_bos, single, bos_, 0);
  single.push_back(P::first());
  add(has_eos, single, eos_, 0);
  pair = single;
  add(has_bos, pair, bos_, second_type);
  pair.push_back(P::second(second_type));
  add(has_eos, pair, eos_, second_type);
  post_processor_ = P(std::move(single), std::move(pair));
}

Encoding SentencePieceTokenizer::encode_pieces(const std::vector<TextPiece>& pieces) const {
  const JoinedPieces joined(pieces);
  const std::string& text = joined.text();
  Encoding out;
  std::size_t done = 0;
  const auto may_match = [&](const AddedToken& token, const Span& span) {
    return !token.special || joined.allows_special(span.begin, span.end);
  };
  for (const AddedTokenFinder::Match& match : finder_.find(text, may_match)) {
    encode_segment(text, {done, match.span.begin}, out);
    out.ids.push_back(match.id);
    out.ranges.push_back({static_cast<std::uint32_t>(match.span.begin), static_cast<std::uint32_t>(match.span.end)});
    done = match.span.end;
  }
  encode_segment(text, {done, text.size()}, out);
  out.ranges = tidy_ranges(text, std::move(out.ranges));
  return out;
}

void SentencePieceTokenizer::encode_segment(const std::string& text, const Span& segment, Encoding& out) const {
  if (segment.begin == segment.end) {
    return;
  }
  const std::string_view part = std::string_view(text).substr(segment.begin, segment.end - segment.begin);
  const bool with_prefix = segment.begin == 0 ? prefix_at_start_ : prefix_after_special_;
  for (const auto& piece : encoder_->encode(part, static_cast<std::uint32_t>(segment.begin), with_prefix)) {
    out.ids.push_back(numbering_.id_of_piece(piece.id));
    out.ranges.push_back(piece.range);
  }
}

TokenText SentencePieceTokenizer::text_of(TokenId id, bool skip_special) const {
  if (!vocabulary_.has(id) || (skip_special && is_special(id))) {
    return {};
  }
  return texts_[static_cast<std::size_t>(id)];
}

std::string SentencePieceTokenizer::decode(const std::vector<TokenId>& ids, bool skip_special) const {
  Detokenizer::Stream stream(detokenizer_);
  std::string text;
  for (const TokenId id : ids) {
    text += stream.add(detokenizer_, text_of(id, skip_special));
  }
  return text + stream.finish(detokenizer_);
}

}  // namespace

std::shared_ptr<const Tokenizer> load_sentencepiece(const std::filesystem::path& directory) {
  return std::make_shared<SentencePieceTokenizer>(directory);
}

}  // namespace refrag

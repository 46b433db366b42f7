#include "text/sentencepiece_encoder.h"

#include <algorithm>
#include <cfloat>
#include <queue>
#include <utility>

#include "text/unicode.h"
#include "text/viterbi.h"

namespace refrag {
namespace {

using Type = SentencePieceModel::Type;

constexpr std::string_view kSpaceSymbol = "\u2581";
constexpr float kUnknownPenalty = 10;  // below the least score

}  // namespace

SentencePieceEncoder::SentencePieceEncoder(const SentencePieceModel& model, const std::string& where)
    : is_bpe_(model.is_bpe),
      adds_dummy_prefix_(model.adds_dummy_prefix),
      removes_extra_spaces_(model.removes_extra_spaces),
      unknown_(model.unknown_id()) {
  if (!model.charsmap.empty()) {
    rules_.emplace(model.charsmap, where);
  }
  std::vector<std::pair<std::string, std::int32_t>> user_defined;
  std::vector<std::pair<std::string, std::int32_t>> unigrams;
  least_score_ = FLT_MAX;
  most_score_ = FLT_MIN;
  bytes_.resize(model.has_byte_fallback ? 256 : 0);
  texts_.reserve(model.pieces.size());
  for (const SentencePieceModel::Piece& piece : model.pieces) {
    const auto id = static_cast<TokenId>(scores_.size());
    scores_.push_back(piece.score);
    types_.push_back(piece.type);
    texts_.push_back(piece.text);
    if (piece.type == Type::kByte) {
      bytes_[static_cast<std::size_t>(std::stoi(piece.text.substr(3, 2), nullptr, 16))] = id;
    }
    if (piece.type == Type::kNormal) {
      least_score_ = std::min(least_score_, piece.score);
      most_score_ = std::max(most_score_, piece.score);
    }
    if (piece.type == Type::kUserDefined) {
      user_defined.emplace_back(piece.text, id);
    }
    if (piece.type == Type::kNormal || piece.type == Type::kUserDefined) {
      unigrams.emplace_back(piece.text, id);
    }
    if (piece.type == Type::kNormal || piece.type == Type::kUserDefined || piece.type == Type::kUnused) {
      words_.emplace(texts_.back(), id);
      longest_ = std::max(longest_, piece.text.size());
      cutter_.add_token(piece.text);
    }
  }
  user_defined_ = PrefixTrie(std::move(user_defined));
  if (!is_bpe_) {
    unigrams_ = PrefixTrie(std::move(unigrams));
  }
}

std::vector<SentencePieceEncoder::Piece> SentencePieceEncoder::encode(std::string_view text, std::uint32_t first,
                                                                      bool with_dummy_prefix) const {
  const AlignedText normalized = normalize(text, first, with_dummy_prefix);
  std::vector<Piece> pieces;
  bool follows_unknown = false;
  for (const WordToken& token : is_bpe_ ? cut_by_merges(normalized.text()) : cut_by_unigram(normalized.text())) {
    const bool is_unknown = token.id == unknown_;
    const ByteRange range = normalized.origin(token.begin, token.end);
    if (is_unknown && !bytes_.empty()) {
      for (std::uint32_t at = token.begin; at < token.end; ++at) {
        const bool is_first = at == token.begin;  // has the whole character
        const auto byte = static_cast<unsigned char>(normalized.text()[at]);
        pieces.push_back({bytes_[byte], is_first ? range : ByteRange{range.end, range.end}});
      }
    } else if (is_unknown && follows_unknown) {
      pieces.back().range.end = range.end;
    } else {
      pieces.push_back({token.id, range});
    }
    follows_unknown = is_unknown;
  }
  return pieces;
}

std::size_t SentencePieceEncoder::user_defined_length(std::string_view text) const {
  std::size_t longest = 0;
  user_defined_.for_each_prefix(text, [&longest](std::size_t length, std::int32_t) { longest = length; });
  return longest;
}

CharsMap::Rule SentencePieceEncoder::normalize_prefix(std::string_view text) const {
  if (const std::size_t length = user_defined_length(text); length > 0) {
    return {length, text.substr(0, length)};
  }
  if (rules_) {
    if (const std::optional<CharsMap::Rule> rule = rules_->longest_rule(text)) {
      return *rule;
    }
  }
  const std::size_t length = code_point_at(text, 0).length;
  return {length, text.substr(0, length)};
}

AlignedText SentencePieceEncoder::normalize(std::string_view text, std::uint32_t first, bool with_dummy_prefix) const {
  const AlignedText original(std::string(text), first);
  AlignedTextBuilder out(original);
  std::size_t at = 0;
  while (removes_extra_spaces_ && at < text.size()) {
    const CharsMap::Rule rule = normalize_prefix(text.substr(at));
    if (rule.replacement != " ") {
      break;
    }
    at += rule.length;
  }
  if (at == text.size()) {
    return {};
  }
  if (with_dummy_prefix && adds_dummy_prefix_) {
    out.put(kSpaceSymbol, at, at);
  }
  bool follows_space = removes_extra_spaces_;
  while (at < text.size()) {
    CharsMap::Rule rule = normalize_prefix(text.substr(at));
    const std::size_t end = at + rule.length;
    while (follows_space && rule.replacement.starts_with(' ')) {
      rule.replacement.remove_prefix(1);
    }
    for (const char& c : rule.replacement) {
      out.put(c == ' ' ? kSpaceSymbol : std::string_view(&c, 1), at, end);
    }
    if (!rule.replacement.empty()) {
      follows_space = removes_extra_spaces_ && rule.replacement.ends_with(' ');
    }
    at = end;
  }
  AlignedText normalized = out.finish();
  std::size_t size = normalized.text().size();
  while (removes_extra_spaces_ && std::string_view(normalized.text()).substr(0, size).ends_with(kSpaceSymbol)) {
    size -= kSpaceSymbol.size();
  }
  return size == normalized.text().size() ? normalized : normalized.slice(0, size);
}

float SentencePieceEncoder::score_of(TokenId id, std::size_t length) const {
  const auto index = static_cast<std::size_t>(id);
  // A user-defined piece is to win always.
  return types_[index] == Type::kUserDefined ? static_cast<float>(length) * most_score_ - 0.1F : scores_[index];
}

std::vector<WordToken> SentencePieceEncoder::cut_by_unigram(std::string_view text) const {
  return best_cut<float>(
      text, unigrams_, [this](TokenId id, std::size_t length) { return score_of(id, length); }, unknown_,
      least_score_ - kUnknownPenalty);
}

std::vector<WordToken> SentencePieceEncoder::cut_by_merges(std::string_view text) const {
  std::vector<WordToken> cut;
  cutter_.tokenize(text, cut, [this](std::string_view word, std::vector<WordToken>& out) { merge_word(word, out); });
  return cut;
}

void SentencePieceEncoder::merge_word(std::string_view text, std::vector<WordToken>& out) const {
  struct Symbol {
    std::uint32_t begin, end;  // empty once it is merged into its left neighbour
    std::int32_t previous, next;
    bool is_frozen;  // a user-defined piece
  };
  struct Candidate {
    float score;
    std::int32_t left, right;
    std::uint32_t length;  // of both; another one now: one of them was merged since
    bool operator<(const Candidate& other) const {
      return score != other.score ? score < other.score : left > other.left;
    }
  };
  std::vector<Symbol> symbols;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t frozen = user_defined_length(text.substr(at));
    const std::size_t length = frozen > 0 ? frozen : code_point_at(text, at).length;
    const auto index = static_cast<std::int32_t>(symbols.size());
    const bool is_last = at + length == text.size();
    symbols.push_back({static_cast<std::uint32_t>(at), static_cast<std::uint32_t>(at + length), index - 1,
                       is_last ? -1 : index + 1, frozen > 0});
    at += length;
  }
  std::priority_queue<Candidate> candidates;
  std::unordered_map<std::string_view, std::uint32_t> halves;  // of unused pieces: where the left part ends
  const auto consider = [&](std::int32_t left, std::int32_t right) {
    if (left < 0 || right < 0 || symbols[left].is_frozen || symbols[right].is_frozen) {
      return;
    }
    const std::uint32_t length = symbols[right].end - symbols[left].begin;
    if (length > longest_) {
      return;
    }
    const std::string_view joined = text.substr(symbols[left].begin, length);
    const auto found = words_.find(joined);
    if (found == words_.end()) {
      return;
    }
    candidates.push({scores_[static_cast<std::size_t>(found->second)], left, right, length});
    if (types_[static_cast<std::size_t>(found->second)] == Type::kUnused) {
      halves[joined] = symbols[left].end - symbols[left].begin;
    }
  };
  for (std::size_t i = 1; i < symbols.size(); ++i) {
    consider(static_cast<std::int32_t>(i) - 1, static_cast<std::int32_t>(i));
  }
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    const std::uint32_t length = left.end - left.begin + (right.end - right.begin);
    if (left.begin == left.end || right.begin == right.end || length != best.length) {
      continue;
    }
    left.end = right.end;
    left.next = right.next;
    if (right.next >= 0) {
      symbols[right.next].previous = best.left;
    }
    right.end = right.begin;
    consider(left.previous, best.left);
    consider(best.left, left.next);
  }
  std::vector<std::pair<std::uint32_t, std::uint32_t>> open;  // still to be cut, the leftmost last
  for (std::int32_t at = symbols.empty() ? -1 : 0; at >= 0; at = symbols[at].next) {
    open.emplace_back(symbols[at].begin, symbols[at].end);
    while (!open.empty()) {
      const auto [begin, end] = open.back();
      open.pop_back();
      const std::string_view piece = text.substr(begin, end - begin);
      const auto found = words_.find(piece);
      const auto half = halves.find(piece);
      const TokenId id = found == words_.end() ? unknown_ : found->second;
      // An unused piece joins the way to longer ones, but does not stay.
      if (half != halves.end() && types_[static_cast<std::size_t>(id)] == Type::kUnused) {
        open.emplace_back(begin + half->second, end);
        open.emplace_back(begin, begin + half->second);
      } else {
        out.push_back({id, begin, end});
      }
    }
  }
}

}  // namespace refrag

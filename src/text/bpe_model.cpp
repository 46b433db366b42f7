#include "text/bpe_model.h"

#include <algorithm>
#include <bit>
#include <queue>
#include <utility>

#include "base/message.h"
#include "text/unicode.h"

namespace refrag {

/// A token of a word that is being merged, linked with its neighbours.
struct BpeModel::Symbol {
  TokenId id = 0;
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  std::int32_t previous = -1;
  std::int32_t next = -1;
  bool is_gone = false;  // merged into its left neighbour
};

namespace {

std::uint64_t key_of(TokenId left, TokenId right) {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
}

[[noreturn]] void refuse(const std::string& field, std::string_view why) {
  throw Error(ErrorCode::kCorrupt, message(field, " ", why), field);
}

/// A merge of the file. There are hundreds of thousands: its name is made only for a message.
struct MergeEntry {
  const JsonReader& model;
  const Json& json;
  std::size_t rank;

  std::string field() const { return message(model.path_of("merges"), "[", rank, "]"); }

  /// "left right" or ["left", "right"]
  std::pair<std::string, std::string> parts() const {
    if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string()) {
      return {json[0].get<std::string>(), json[1].get<std::string>()};
    }
    if (json.is_string()) {
      const auto text = json.get<std::string>();
      const std::size_t space = text.find(' ');
      if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
        return {text.substr(0, space), text.substr(space + 1)};
      }
    }
    refuse(field(), R"(is not a pair of tokens; expected "a b" or ["a", "b"])");
  }

  TokenId id_of(const Vocabulary& vocabulary, const std::string& token) const {
    if (const std::optional<TokenId> id = vocabulary.id_of(token)) {
      return *id;
    }
    refuse(field(), message("names \"", token, "\", which the vocabulary does not have"));
  }
};

}  // namespace

BpeModel::MergeTable::MergeTable(std::size_t merges) : slots_(std::bit_ceil(2 * merges + 2)) {}

std::size_t BpeModel::MergeTable::slot_of(std::uint64_t pair) const {
  std::size_t slot = (pair * 0x9E3779B97F4A7C15ULL >> 17) & (slots_.size() - 1);
  while (slots_[slot].pair != pair && slots_[slot].pair != kEmpty) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

void BpeModel::MergeTable::set(TokenId left, TokenId right, Merge merge) {
  const std::uint64_t pair = key_of(left, right);
  slots_[slot_of(pair)] = {pair, merge};
}

const BpeModel::Merge* BpeModel::MergeTable::find(TokenId left, TokenId right) const {
  const Slot& slot = slots_[slot_of(key_of(left, right))];
  return slot.pair == kEmpty ? nullptr : &slot.merge;
}

BpeModel::MergeTable BpeModel::read_merges(JsonReader& json, const Vocabulary& vocabulary) {
  const Json& merges = json.value("merges");
  if (!merges.is_array()) {
    json.fail("merges", "an array");
  }
  MergeTable table(merges.size());
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const MergeEntry entry{json, merges[rank], rank};
    const auto [left, right] = entry.parts();
    const TokenId left_id = entry.id_of(vocabulary, left);
    const TokenId right_id = entry.id_of(vocabulary, right);
    const TokenId result = entry.id_of(vocabulary, left + right);
    if (!vocabulary.is_reserved(result)) {  // text never becomes a special token
      table.set(left_id, right_id, {static_cast<std::uint32_t>(rank), result});
    }
  }
  return table;
}

BpeModel::BpeModel(JsonReader& json, const Vocabulary& vocabulary)
    : vocabulary_(vocabulary),
      merges_(read_merges(json, vocabulary)),
      ignores_merges_(json.boolean("ignore_merges", false)),
      fuses_unknown_(json.boolean("fuse_unk", false)) {
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!json.text(name, "").empty()) {
      throw Error(ErrorCode::kUnsupported, message(json.path_of(name), " is not supported"), json.path_of(name));
    }
  }
  if (json.has("dropout") && json.number("dropout", 0, 1) > 0) {
    throw Error(ErrorCode::kUnsupported, message(json.path_of("dropout"), " is not supported"),
                json.path_of("dropout"));
  }
  if (json.has("unk_token")) {
    unknown_ = vocabulary.id_of(json.text("unk_token"));
    if (!unknown_) {
      refuse(json.path_of("unk_token"), message("\"", json.text("unk_token"), "\" is not in the vocabulary"));
    }
  }
  if (json.boolean("byte_fallback", false)) {
    bytes_.emplace(vocabulary);
  }
  for (TokenId id = 0; static_cast<std::size_t>(id) < vocabulary.size(); ++id) {
    if (!vocabulary.is_reserved(id)) {
      words_.add_token(vocabulary.token_of(id));
    }
  }
  if (!vocabulary.word_id_of(WordCutter::kSpace)) {
    words_.forbid_cuts();  // unknown characters may be one token across a cut
  }
}

void BpeModel::tokenize(std::string_view word, std::vector<WordToken>& out) const {
  if (ignores_merges_) {
    if (const std::optional<TokenId> id = vocabulary_.word_id_of(word)) {
      out.push_back({*id, 0, static_cast<std::uint32_t>(word.size())});
      return;
    }
  }
  words_.tokenize(word, out, [this](std::string_view part, std::vector<WordToken>& tokens) {
    std::vector<Symbol> symbols = characters_of(part);
    merge_all(symbols);
    for (const Symbol& symbol : symbols) {
      if (!symbol.is_gone) {
        tokens.push_back({symbol.id, symbol.begin, symbol.end});
      }
    }
  });
}

// As `tokenizers` does it, to the order: an unknown character waits for the next known one, byte tokens do not release
// it.
std::vector<BpeModel::Symbol> BpeModel::characters_of(std::string_view word) const {
  std::vector<Symbol> symbols;
  symbols.reserve(word.size());
  std::optional<Symbol> waiting;
  const auto release = [&] {
    if (waiting) {
      symbols.push_back(*waiting);
      waiting.reset();
    }
  };
  for (std::size_t at = 0; at < word.size();) {
    const auto begin = static_cast<std::uint32_t>(at);
    at += code_point_at(word, at).length;
    const auto end = static_cast<std::uint32_t>(at);
    if (const std::optional<TokenId> id = vocabulary_.word_id_of(word.substr(begin, end - begin))) {
      release();
      symbols.push_back({*id, begin, end});
      continue;
    }
    const std::vector<WordToken> bytes = bytes_ ? bytes_->spell(word, begin, end) : std::vector<WordToken>();
    for (const WordToken& byte : bytes) {
      symbols.push_back({byte.id, byte.begin, byte.end});
    }
    if (bytes.empty() && unknown_) {
      if (waiting && fuses_unknown_) {
        waiting->end = end;
      } else {
        release();
        waiting = Symbol{*unknown_, begin, end};
      }
    }
  }
  release();
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].previous = static_cast<std::int32_t>(i) - 1;
    symbols[i].next = i + 1 < symbols.size() ? static_cast<std::int32_t>(i) + 1 : -1;
  }
  return symbols;
}

void BpeModel::merge_all(std::vector<Symbol>& symbols) const {
  struct Candidate {
    std::uint32_t rank;
    std::int32_t left;
    TokenId result;
    // The queue's top is its greatest: the lowest rank, then the leftmost pair.
    bool operator<(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
  };
  std::priority_queue<Candidate> candidates;
  const auto consider = [&](std::int32_t left, std::int32_t right) {
    if (left < 0 || right < 0) {
      return;
    }
    if (const Merge* merge = merges_.find(symbols[left].id, symbols[right].id)) {
      candidates.push({merge->rank, left, merge->result});
    }
  };
  for (std::size_t i = 1; i < symbols.size(); ++i) {
    consider(static_cast<std::int32_t>(i) - 1, static_cast<std::int32_t>(i));
  }
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Symbol& left = symbols[best.left];
    if (left.is_gone || left.next < 0) {
      continue;
    }
    Symbol& right = symbols[left.next];
    const Merge* merge = merges_.find(left.id, right.id);
    if (merge == nullptr || merge->result != best.result) {
      continue;  // one of the two was merged since
    }
    left.id = best.result;
    left.end = right.end;
    left.next = right.next;
    right.is_gone = true;
    if (right.next >= 0) {
      symbols[right.next].previous = best.left;
    }
    consider(left.previous, best.left);
    consider(best.left, left.next);
  }
}

}  // namespace refrag

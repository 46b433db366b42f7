#include "text/unigram_model.h"

#include <algorithm>
#include <limits>
#include <string>
#include <utility>

#include "text/viterbi.h"

namespace refrag {
namespace {

constexpr double kUnknownPenalty = 10;  // below the least score, as SentencePiece has it

}  // namespace

UnigramModel::UnigramModel(JsonReader& json, const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
  double least = std::numeric_limits<double>::infinity();
  std::vector<std::pair<std::string, std::int32_t>> words;
  for (const Json& entry : json.value("vocab")) {  // [[token, score], ...], checked by its reader
    const auto id = static_cast<TokenId>(scores_.size());
    scores_.push_back(entry[1].get<double>());
    least = std::min(least, scores_.back());
    if (!vocabulary.is_reserved(id)) {
      words.emplace_back(entry[0].get<std::string>(), id);
    }
  }
  pieces_ = PrefixTrie(std::move(words));
  unknown_score_ = least - kUnknownPenalty;
  unknown_ = static_cast<TokenId>(json.integer("unk_id", 0, static_cast<std::int64_t>(scores_.size()) - 1));
  if (json.boolean("byte_fallback", false)) {
    bytes_.emplace(vocabulary);
  }
}

void UnigramModel::tokenize(std::string_view word, std::vector<WordToken>& out) const {
  const auto score_of = [this](TokenId id, std::size_t) { return scores_[static_cast<std::size_t>(id)]; };
  const std::vector<WordToken> path = best_cut<double>(word, pieces_, score_of, unknown_, unknown_score_);
  for (std::size_t i = 0; i < path.size();) {
    std::size_t next = i + 1;
    if (path[i].id != unknown_) {
      out.push_back(path[i]);
    } else {
      while (next < path.size() && path[next].id == unknown_) {
        ++next;  // neighbouring unknown characters are one token
      }
      add_unknown(word, path[i].begin, path[next - 1].end, out);
    }
    i = next;
  }
}

void UnigramModel::add_unknown(std::string_view word, std::uint32_t begin, std::uint32_t end,
                               std::vector<WordToken>& out) const {
  if (const std::optional<TokenId> id = vocabulary_.word_id_of(word.substr(begin, end - begin))) {
    out.push_back({*id, begin, end});
    return;
  }
  const std::vector<WordToken> bytes = bytes_ ? bytes_->spell(word, begin, end) : std::vector<WordToken>();
  out.insert(out.end(), bytes.begin(), bytes.end());
  if (bytes.empty()) {
    out.push_back({unknown_, begin, end});
  }
}

}  // namespace refrag

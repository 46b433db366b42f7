#include "text/wordpiece_model.h"

#include <algorithm>

#include "base/utf8.h"

namespace refrag {
namespace {

bool is_inside_character(std::string_view text, std::size_t at) {
  return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
}

}  // namespace

WordPieceModel::WordPieceModel(JsonReader& json, const Vocabulary& vocabulary)
    : vocabulary_(vocabulary),
      continuation_(json.text("continuing_subword_prefix", "##")),
      max_characters_(static_cast<std::size_t>(json.integer("max_input_chars_per_word", 100, 1, 1'000'000))) {
  const std::optional<TokenId> unknown = vocabulary.id_of(json.text("unk_token", "[UNK]"));
  if (!unknown) {
    json.fail("unk_token", "a token of the vocabulary");
  }
  unknown_ = *unknown;
}

void WordPieceModel::tokenize(std::string_view word, std::vector<WordToken>& out) const {
  const std::size_t first = out.size();
  bool is_known = count_code_points(word) <= max_characters_;
  for (std::size_t begin = 0; is_known && begin < word.size();) {
    const std::string prefix = begin > 0 ? continuation_ : std::string();
    const std::string candidate = prefix + std::string(word.substr(begin, vocabulary_.longest()));
    std::size_t length = candidate.size() - prefix.size();
    is_known = false;
    for (; length > 0; --length) {
      if (is_inside_character(word, begin + length)) {
        continue;
      }
      const auto id = vocabulary_.word_id_of(std::string_view(candidate).substr(0, prefix.size() + length));
      if (id) {
        out.push_back({*id, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(begin + length)});
        is_known = true;
        break;
      }
    }
    begin += length;
  }
  if (!is_known) {
    out.resize(first);
    out.push_back({unknown_, 0, static_cast<std::uint32_t>(word.size())});
  }
}

}  // namespace refrag

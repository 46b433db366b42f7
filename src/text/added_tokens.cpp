#include "text/added_tokens.h"

#include <utility>

#include "base/message.h"
#include "text/unicode.h"

namespace refrag {
namespace {

std::size_t begin_of_character_before(std::string_view text, std::size_t end) {
  do {
    --end;
  } while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80);
  return end;
}

bool touches_word(std::string_view text, const Span& span) {
  return (span.begin > 0 && is_word(code_point_at(text, begin_of_character_before(text, span.begin)).value)) ||
         (span.end < text.size() && is_word(code_point_at(text, span.end).value));
}

std::size_t without_space_before(std::string_view text, std::size_t begin, std::size_t least) {
  while (begin > least) {
    const std::size_t before = begin_of_character_before(text, begin);
    if (!is_white_space(code_point_at(text, before).value)) {
      break;
    }
    begin = before;
  }
  return begin;
}

std::size_t without_space_after(std::string_view text, std::size_t end) {
  while (end < text.size()) {
    const CodePoint next = code_point_at(text, end);
    if (!is_white_space(next.value)) {
      break;
    }
    end += next.length;
  }
  return end;
}

}  // namespace

AddedToken read_added_token(const Json& json, const std::string& field, TokenId id) {
  AddedToken token;
  token.id = id;
  if (json.is_string()) {
    token.content = json.get<std::string>();
    token.normalized = false;
    token.special = true;
    return token;
  }
  JsonReader reader(json, field, ErrorCode::kCorrupt);
  token.content = reader.text("content");
  token.single_word = reader.boolean("single_word", false);
  token.lstrip = reader.boolean("lstrip", false);
  token.rstrip = reader.boolean("rstrip", false);
  token.special = reader.boolean("special", false);
  token.normalized = reader.boolean("normalized", !token.special);
  return token;
}

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens, const std::vector<std::string>& patterns)
    : tokens_(std::move(tokens)) {
  std::vector<std::pair<std::string, std::int32_t>> keys;
  for (std::size_t i = 0; i < patterns.size(); ++i) {
    keys.emplace_back(patterns[i], static_cast<std::int32_t>(i));
  }
  patterns_ = PrefixTrie(std::move(keys));
}

std::vector<AddedTokenFinder::Match> AddedTokenFinder::find(std::string_view text, const MayMatch& may_match) const {
  std::vector<Match> matches;
  std::size_t done = 0;  // text before it belongs to a match
  for (std::size_t at = 0; !patterns_.empty() && at < text.size();) {
    const AddedToken* token = nullptr;
    Span span{at, at};
    patterns_.for_each_prefix(text.substr(at), [&](std::size_t length, std::int32_t index) {
      const AddedToken& candidate = tokens_[static_cast<std::size_t>(index)];
      if (may_match(candidate, {at, at + length})) {
        token = &candidate;
        span.end = at + length;
      }
    });
    if (token == nullptr) {
      ++at;
      continue;
    }
    at = span.end;
    if (token->single_word && touches_word(text, span)) {
      continue;
    }
    if (token->lstrip) {
      span.begin = without_space_before(text, span.begin, done);
    }
    if (token->rstrip) {
      span.end = without_space_after(text, span.end);
    }
    matches.push_back({token->id, span});
    at = done = span.end;
  }
  return matches;
}

}  // namespace refrag

#include "text/vocabulary.h"

#include <algorithm>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {

void Vocabulary::add(const std::string& token, TokenId id, const std::string& where) {
  if (id < 0 || id > kMaxId) {
    throw Error(ErrorCode::kCorrupt,
                message(where, ": token \"", token, "\" has the id ", id, "; expected 0 to ", kMaxId), where);
  }
  if (has(id)) {
    throw Error(ErrorCode::kCorrupt,
                message(where, ": \"", token, "\" and \"", token_of(id), "\" have the same id ", id), where);
  }
  if (static_cast<std::size_t>(id) >= entries_.size()) {
    entries_.resize(static_cast<std::size_t>(id) + 1);
  }
  entries_[static_cast<std::size_t>(id)] = {token, true, false};
  ids_[token] = id;
  longest_ = std::max(longest_, token.size());
}

const std::string& Vocabulary::token_of(TokenId id) const {
  static const std::string kNone;
  return has(id) ? entry(id).token : kNone;
}

std::optional<TokenId> Vocabulary::id_of(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<TokenId> Vocabulary::word_id_of(std::string_view token) const {
  const std::optional<TokenId> id = id_of(token);
  return id && entry(*id).is_reserved ? std::nullopt : id;
}

}  // namespace refrag

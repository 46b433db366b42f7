#include "model/text_input.h"

#include <utility>

namespace refrag {

TextInput encode_for_encoder(const Tokenizer& tokenizer, std::string_view text, std::size_t max_tokens) {
  std::vector<TokenId> ids = tokenizer.encode_for_model(text);
  if (ids.size() <= max_tokens) {
    return {std::move(ids), false};
  }
  const TokenId last = ids.back();
  ids.resize(max_tokens);
  if (tokenizer.is_special(last) && !ids.empty()) {
    ids.back() = last;
  }
  return {std::move(ids), true};
}

}  // namespace refrag

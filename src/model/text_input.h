#pragma once
#include <cstddef>
#include <string_view>
#include <vector>

#include "base/token.h"
#include "text/tokenizer.h"

namespace refrag {

/// A text as an encoder is given it, and whether it had to be cut.
struct TextInput {
  std::vector<TokenId> ids;  // with the tokenizer's special tokens around
  bool was_cut = false;
};

/// At most `max_tokens` ids; of a longer text the end is lost, not the special token behind it.
TextInput encode_for_encoder(const Tokenizer& tokenizer, std::string_view text, std::size_t max_tokens);

}  // namespace refrag

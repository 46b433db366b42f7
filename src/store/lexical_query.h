#pragma once
#include <cstddef>
#include <string>
#include <string_view>

#include "store/sqlite.h"

namespace refrag {

/// Plain text to an FTS5 query: an OR of quoted terms, empty when nothing can match. Never query syntax.
/// - The index's own tokenizer cuts the text, so that case and accents fold as they did for the passages.
/// - A word of several tokens ("php-fig-http-message-util", "3.2.2-2") is a phrase, beside its parts of two letters up.
/// - Above 1,000 passages, terms in more than a fifth of them are dropped while rarer ones remain.
/// - The 64 rarest terms of the first 512 are kept, which bounds the cost of a query of any length.
std::string lexical_query(Connection& connection, std::string_view text, std::size_t passages);

}  // namespace refrag

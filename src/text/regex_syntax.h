#pragma once
#include <string>
#include <string_view>

namespace refrag {

/// A pattern in Oniguruma's Ruby syntax, which tokenizer.json files are written in, as a pattern that means the same to
/// PCRE2 (UTF, UCP, MULTILINE). What differs: \s, \w and \b as Unicode defines them, \h (a hexadecimal digit there),
/// \uHHHH, and character classes nested in character classes. Throws kUnsupported where there is no counterpart.
std::string translate_oniguruma(std::string_view pattern);

/// `text` as a pattern that matches it alone.
std::string escape_pattern(std::string_view text);

}  // namespace refrag

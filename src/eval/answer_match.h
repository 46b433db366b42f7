#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace refrag {

/// An answer's words as SQuAD's evaluation compares them: lower case, without punctuation (ASCII's, as there) and
/// without a, an and the.
std::vector<std::string> answer_words(std::string_view answer);

/// Harmonic mean of precision and recall of the words that both have, each as often as both have it; 0 to 1. Where one
/// has no words at all: 1 if neither has any.
double token_f1(std::string_view prediction, std::string_view answer);

}  // namespace refrag

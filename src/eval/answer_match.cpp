#include "eval/answer_match.h"

#include <map>

#include "base/utf8.h"
#include "text/unicode.h"

namespace refrag {
namespace {

bool is_ascii_punctuation(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

}  // namespace

std::vector<std::string> answer_words(std::string_view answer) {
  const std::string text = to_valid_utf8(answer);
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty() && word != "a" && word != "an" && word != "the") {
      words.push_back(word);
    }
    word.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint c = code_point_at(text, at);
    at += c.length;
    if (is_white_space(c.value)) {
      end_word();
    } else if (!is_ascii_punctuation(c.value)) {
      word += to_lower_case(c.value);
    }
  }
  end_word();
  return words;
}

double token_f1(std::string_view prediction, std::string_view answer) {
  const std::vector<std::string> predicted = answer_words(prediction);
  const std::vector<std::string> right = answer_words(answer);
  if (predicted.empty() || right.empty()) {
    return predicted.empty() && right.empty() ? 1 : 0;
  }
  std::map<std::string, std::size_t> left;
  for (const std::string& word : right) {
    ++left[word];
  }
  std::size_t common = 0;
  for (const std::string& word : predicted) {
    const auto found = left.find(word);
    if (found != left.end() && found->second > 0) {
      --found->second;
      ++common;
    }
  }
  return 2 * static_cast<double>(common) / static_cast<double>(predicted.size() + right.size());
}

}  // namespace refrag

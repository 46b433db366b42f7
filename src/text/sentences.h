#pragma once
#include <cstddef>
#include <string_view>
#include <vector>

namespace refrag {

/// What stands between a sentence and the one before it, from the weakest to the strongest place to cut.
enum class Border { kSentence, kParagraph, kHeading };

/// A sentence or a heading: bytes [begin, end) of the text, neither first nor last of them white space.
struct Sentence {
  std::size_t begin = 0;
  std::size_t end = 0;
  Border before = Border::kSentence;
  bool is_heading = false;
};

/// All that is not white space in `text` (UTF-8), in order: headings (Markdown's "# ..." and underlined lines), and the
/// sentences (Unicode standard annex 29) of the paragraphs between blank lines. A line break ends no sentence.
std::vector<Sentence> find_sentences(std::string_view text);

/// The start of what is not white space at or after `begin`, and the end of what is not before `end`.
std::size_t skip_space(std::string_view text, std::size_t begin, std::size_t end);
std::size_t drop_space(std::string_view text, std::size_t begin, std::size_t end);

}  // namespace refrag

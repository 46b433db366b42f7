#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace refrag {

/// Unicode as Hugging Face's `tokenizers` sees it, over ICU. All text here is valid UTF-8.

/// One code point and how many bytes of the text it takes.
struct CodePoint {
  char32_t value = 0;
  std::size_t length = 0;
};
CodePoint code_point_at(std::string_view text, std::size_t byte);
void append_utf8(char32_t code_point, std::string& out);
std::string to_utf8(char32_t code_point);

bool is_white_space(char32_t c);        // the property White_Space: U+0085 and U+00A0 yes, U+200B and U+FEFF no
bool is_numeric(char32_t c);            // Nd, Nl, No
bool is_word(char32_t c);               // \w: Alphabetic, M, Nd, Pc, Join_Control
bool is_punctuation(char32_t c);        // P of Unicode 8 and ASCII's symbols: the tables that `tokenizers` carries
bool is_nonspacing_mark(char32_t c);    // Mn of Unicode 8
bool is_mark(char32_t c);               // M of Unicode 9
bool is_other(char32_t c);              // Cc, Cf, Co of Unicode 8, as BERT's text cleaning takes them
bool is_cjk_ideograph(char32_t c);      // the blocks that BERT puts spaces around
std::string to_lower_case(char32_t c);  // without context; U+0130 becomes two code points

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
std::string normalize(NormalForm form, std::string_view text);
bool is_normalized(NormalForm form, std::string_view text);
/// Whether text may be cut before `c` and both sides normalized alone.
bool is_boundary_before(NormalForm form, char32_t c);

/// The byte after the extended grapheme cluster that begins at `byte`; made once for a text, then asked in order.
class GraphemeCursor {
 public:
  explicit GraphemeCursor(std::string_view text);
  GraphemeCursor(const GraphemeCursor&) = delete;
  GraphemeCursor& operator=(const GraphemeCursor&) = delete;
  ~GraphemeCursor();
  std::size_t next();  // the end of the next cluster; text.size() at the end

 private:
  struct State;
  State* state_;
};

}  // namespace refrag

#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace refrag {

/// Lays marked-up text out as plain text that people, passage cutter and models read alike: headings as "# Title"
/// lines, list items behind "- " or "1. ", table cells apart by " | ", code indented by four spaces, blocks apart by a
/// blank line. White space outside code is folded as a browser does.
class PlainTextWriter {
 public:
  void text(std::string_view utf8);  // in code: kept as it is, line by line
  void end_line();                   // what follows begins a new line; a space within a heading
  void end_block();                  // what follows stands behind a blank line; a space within a heading

  void add_block(std::string_view laid_out);  // a block that is plain text already

  void begin_heading(std::size_t level);
  void end_heading();
  void begin_code();
  void end_code();
  void begin_list();
  void end_list();
  void begin_item(const std::string& marker);  // "- ", "3. "
  void begin_row();
  void end_row();
  void begin_cell();

  /// The text so far, without white space at its ends.
  std::string finish();

 private:
  void add_folded(std::string_view utf8);
  void add_code(std::string_view utf8);
  void open_text();  // writes what is due before the next character: line ends, indentation, a marker or a space
  void request_newlines(std::size_t count);

  std::string out_;
  std::string marker_;        // due at the next text: "## ", "- "
  std::size_t newlines_ = 0;  // due at the next text
  bool space_ = false;        // due at the next text of the same line
  bool in_heading_ = false;
  bool in_code_ = false;
  bool code_has_text_ = false;
  bool row_has_cell_ = false;
  bool fresh_cell_ = false;  // no text in this cell yet: a paragraph may open in it without a new line
  std::size_t list_depth_ = 0;
};

}  // namespace refrag

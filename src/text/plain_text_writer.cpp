#include "text/plain_text_writer.h"

#include <algorithm>
#include <utility>

namespace refrag {
namespace {

// Deeper lists are indented no further: a hostile page must not grow by its depth times its length.
constexpr std::size_t kMaxIndentedLists = 8;
constexpr std::string_view kNoBreakSpace = "\u00a0";
constexpr std::string_view kSoftHyphen = "\u00ad";
constexpr std::string_view kZeroWidthSpace = "\u200b";

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f'; }

}  // namespace

void PlainTextWriter::text(std::string_view utf8) {
  if (in_code_) {
    add_code(utf8);
  } else {
    add_folded(utf8);
  }
}

void PlainTextWriter::add_folded(std::string_view utf8) {
  while (!utf8.empty()) {
    if (is_space(utf8.front())) {
      space_ = true;
      utf8.remove_prefix(1);
    } else if (utf8.starts_with(kNoBreakSpace)) {
      space_ = true;
      utf8.remove_prefix(kNoBreakSpace.size());
    } else if (utf8.starts_with(kSoftHyphen)) {  // invisible; words with it would not be found
      utf8.remove_prefix(kSoftHyphen.size());
    } else if (utf8.starts_with(kZeroWidthSpace)) {
      utf8.remove_prefix(kZeroWidthSpace.size());
    } else {
      open_text();
      const auto stop = std::find_if(utf8.begin() + 1, utf8.end(), [](char c) {
        return is_space(c) || c == kNoBreakSpace[0] || c == kZeroWidthSpace[0];
      });
      const auto length = static_cast<std::size_t>(stop - utf8.begin());
      out_.append(utf8.substr(0, length));
      utf8.remove_prefix(length);
    }
  }
}

void PlainTextWriter::add_code(std::string_view utf8) {
  while (!utf8.empty()) {
    if (utf8.front() == '\n') {
      newlines_ += code_has_text_ ? 1 : 0;
      utf8.remove_prefix(1);
      continue;
    }
    const std::string_view line = utf8.substr(0, utf8.find('\n'));
    const bool begins_line = newlines_ > 0 || !code_has_text_;
    open_text();
    out_.append(begins_line ? "    " : "").append(line);
    code_has_text_ = true;
    utf8.remove_prefix(line.size());
  }
}

void PlainTextWriter::open_text() {
  const bool begins_line = out_.empty() || newlines_ > 0;
  if (begins_line) {
    out_.append(out_.empty() ? 0 : newlines_, '\n');
    const std::size_t own_marker = marker_.empty() || in_heading_ ? 0 : 1;
    const std::size_t depth = std::min(list_depth_, kMaxIndentedLists);
    out_.append(2 * (depth - std::min(depth, own_marker)), ' ');
  } else if (space_ && marker_.empty()) {
    out_.push_back(' ');
  }
  out_.append(std::exchange(marker_, {}));
  newlines_ = 0;
  space_ = false;
  fresh_cell_ = false;
}

void PlainTextWriter::request_newlines(std::size_t count) {
  if (in_heading_ || fresh_cell_) {
    space_ = true;
  } else {
    newlines_ = std::max(newlines_, count);
    space_ = false;
  }
}

void PlainTextWriter::end_line() { request_newlines(1); }
void PlainTextWriter::end_block() { request_newlines(2); }

void PlainTextWriter::add_block(std::string_view laid_out) {
  if (laid_out.empty()) {
    return;
  }
  end_block();
  open_text();
  out_.append(laid_out);
  end_block();
}

void PlainTextWriter::begin_heading(std::size_t level) {
  end_heading();
  end_block();
  marker_ = std::string(std::clamp<std::size_t>(level, 1, 6), '#') + ' ';
  in_heading_ = true;
}

void PlainTextWriter::end_heading() {
  if (!in_heading_) {
    return;
  }
  in_heading_ = false;
  marker_.clear();  // an empty heading leaves nothing
  end_block();
}

void PlainTextWriter::begin_code() {
  end_heading();
  end_block();
  in_code_ = true;
  code_has_text_ = false;
}

void PlainTextWriter::end_code() {
  in_code_ = false;
  newlines_ = std::min<std::size_t>(newlines_, 2);
  end_block();
}

void PlainTextWriter::begin_list() {
  if (list_depth_ == 0) {
    end_block();
  } else {
    end_line();
  }
  ++list_depth_;
}

void PlainTextWriter::end_list() {
  list_depth_ -= std::min<std::size_t>(list_depth_, 1);
  if (list_depth_ == 0) {
    end_block();
  } else {
    end_line();
  }
  marker_.clear();
}

void PlainTextWriter::begin_item(const std::string& marker) {
  end_heading();
  end_line();
  marker_ = marker;
}

void PlainTextWriter::begin_row() {
  fresh_cell_ = false;
  row_has_cell_ = false;
  end_line();
}

void PlainTextWriter::end_row() {
  fresh_cell_ = false;
  newlines_ = 1;  // whatever a paragraph in the last cell asked for
}

void PlainTextWriter::begin_cell() {
  if (std::exchange(row_has_cell_, true)) {
    if (!fresh_cell_) {
      newlines_ = 0;  // whatever a paragraph in the cell before asked for
    }
    add_folded(" | ");
  }
  fresh_cell_ = true;
}

std::string PlainTextWriter::finish() {
  const auto is_text = [](char c) { return !is_space(c); };
  const auto end = std::find_if(out_.rbegin(), out_.rend(), is_text).base();
  out_.erase(end, out_.end());
  return std::move(out_);
}

}  // namespace refrag

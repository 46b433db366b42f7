#include "text/jinja_pieces.h"

#include <algorithm>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag::jinja {
namespace {

std::string with_unix_lines(std::string_view source) {
  std::string out;
  for (std::size_t n = 0; n < source.size(); ++n) {
    if (source[n] == '\r') {
      out += '\n';
      n += n + 1 < source.size() && source[n + 1] == '\n' ? 1 : 0;
    } else {
      out += source[n];
    }
  }
  if (out.ends_with('\n')) {
    out.pop_back();  // keep_trailing_newline is off
  }
  return out;
}

/// Cuts the source at its tags and applies white-space control.
class Cutter {
 public:
  explicit Cutter(std::string source) : source_(std::move(source)) {}

  std::vector<Piece> cut() {
    while (at_ < source_.size()) {
      const std::size_t open = find_open(at_);
      add_text(open);
      if (open >= source_.size()) {
        break;
      }
      take_tag(open);
    }
    return std::move(pieces_);
  }

 private:
  std::size_t find_open(std::size_t from) const {
    for (std::size_t n = from; n + 1 < source_.size(); ++n) {
      if (source_[n] == '{' && (source_[n + 1] == '{' || source_[n + 1] == '%' || source_[n + 1] == '#')) {
        return n;
      }
    }
    return source_.size();
  }

  /// Asked for places that never go back, so that every line is counted once.
  std::size_t line_of(std::size_t at) {
    const auto begin = source_.begin() + static_cast<std::ptrdiff_t>(counted_);
    line_ += static_cast<std::size_t>(std::count(begin, source_.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    counted_ = at;
    return line_;
  }

  void add_text(std::size_t open) {
    std::string text = source_.substr(at_, open - at_);
    if (open < source_.size()) {
      const char sign = open + 2 < source_.size() ? source_[open + 2] : ' ';
      if (sign == '-') {
        while (!text.empty() && is_blank(text.back())) {
          text.pop_back();
        }
      } else if (source_[open + 1] != '{' && sign != '+') {
        strip_to_line_start(text);
      }
    }
    if (!text.empty()) {
      pieces_.push_back({Piece::Kind::kText, std::move(text), line_of(at_)});
    }
  }

  /// lstrip_blocks: white space between the start of the line and the tag goes.
  void strip_to_line_start(std::string& text) const {
    std::size_t keep = text.size();
    while (keep > 0 && text[keep - 1] != '\n' && is_blank(text[keep - 1])) {
      --keep;
    }
    const bool from_line_start = keep > 0 ? text[keep - 1] == '\n' : at_ == 0 || source_[at_ - 1] == '\n';
    if (from_line_start) {
      text.resize(keep);
    }
  }

  void take_tag(std::size_t open) {
    const char kind = source_[open + 1];
    const std::size_t line = line_of(open);
    std::size_t begin = open + 2;
    if (begin < source_.size() && (source_[begin] == '-' || source_[begin] == '+')) {
      ++begin;
    }
    const std::string close = kind == '{' ? "}}" : kind == '%' ? "%}" : "#}";
    const std::size_t end = kind == '#' ? source_.find(close, begin) : find_close(begin, close);
    if (end == std::string::npos || end >= source_.size()) {
      fail_at(line, message("a tag is not closed; expected ", close));
    }
    const char sign = end > begin ? source_[end - 1] : ' ';
    const std::size_t inner_end = sign == '-' || (sign == '+' && kind != '{') ? end - 1 : end;
    if (kind != '#') {
      pieces_.push_back({kind == '{' ? Piece::Kind::kOutput : Piece::Kind::kStatement,
                         source_.substr(begin, inner_end - begin), line});
    }
    at_ = end + 2;
    if (sign == '-') {
      while (at_ < source_.size() && is_blank(source_[at_])) {
        ++at_;
      }
    } else if (kind != '{' && sign != '+' && at_ < source_.size() && source_[at_] == '\n') {
      ++at_;  // trim_blocks
    }
  }

  /// The closing mark outside strings and braces.
  std::size_t find_close(std::size_t from, const std::string& close) const {
    int depth = 0;
    for (std::size_t n = from; n < source_.size(); ++n) {
      const char c = source_[n];
      if (c == '\'' || c == '"') {
        for (++n; n < source_.size() && source_[n] != c; ++n) {
          n += source_[n] == '\\' ? 1 : 0;
        }
      } else if (depth == 0 && source_.compare(n, 2, close) == 0) {
        return n;
      } else if (c == '{' || c == '[' || c == '(') {
        ++depth;
      } else if (c == '}' || c == ']' || c == ')') {
        depth = std::max(0, depth - 1);
      }
    }
    return std::string::npos;
  }

  std::string source_;
  std::size_t at_ = 0;
  std::size_t counted_ = 0;  // line_ is the line of this place
  std::size_t line_ = 1;
  std::vector<Piece> pieces_;
};

}  // namespace

std::vector<Piece> cut_template(std::string_view source) { return Cutter(with_unix_lines(source)).cut(); }

void fail_at(std::size_t line, const std::string& what) {
  throw Error(ErrorCode::kCorrupt, message("chat template, line ", line, ": ", what));
}

}  // namespace refrag::jinja

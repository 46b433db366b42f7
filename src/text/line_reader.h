#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace refrag {

/// Lines of an open file, pipe or terminal, in bounded memory. Line ends are \n or \r\n; a UTF-8 byte order mark at the
/// start is passed over.
class LineReader {
 public:
  struct Line {
    std::string text;        // without its end; empty where it is too long
    std::size_t number = 0;  // from 1
    bool is_too_long = false;
  };

  /// `descriptor` stays open and belongs to the caller. `gives_up` is asked before each read, and 20 times a second
  /// while there is nothing to read.
  LineReader(int descriptor, std::size_t max_line_bytes, std::function<bool()> gives_up = {});
  /// False at the end, and where the operating system fails to read: `failure` then has its reason.
  bool next(Line& line);
  const std::string& failure() const { return failure_; }
  bool gave_up() const { return gave_up_; }  // then `next` gave false, and a line that was begun is lost

 private:
  bool wait();  // false where it gave up
  bool fill();  // false at the end of the input
  void append(std::string_view part, Line& line) const;

  int descriptor_;
  std::size_t max_line_bytes_;
  std::function<bool()> gives_up_;
  bool gave_up_ = false;
  std::string buffer_;
  std::string_view rest_;  // of buffer_
  std::size_t line_number_ = 0;
  std::string failure_;
};

}  // namespace refrag

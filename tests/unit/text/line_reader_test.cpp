#include "text/line_reader.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace refrag {
namespace {

// All lines of `text`, fed through a pipe; a line that is too long reads as "!".
std::vector<std::string> lines_of(const std::string& text, std::size_t max_line_bytes = 100) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  EXPECT_EQ(::write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  ::close(ends[1]);
  LineReader reader(ends[0], max_line_bytes);
  std::vector<std::string> lines;
  for (LineReader::Line line; reader.next(line);) {
    EXPECT_EQ(line.number, lines.size() + 1);
    lines.push_back(line.is_too_long ? "!" : line.text);
  }
  ::close(ends[0]);
  return lines;
}

using Lines = std::vector<std::string>;

TEST(LineReaderTest, TakesBothLineEndsAndALastLineWithoutOne) {
  EXPECT_EQ(lines_of("a\r\n\nb\n"), (Lines{"a", "", "b"}));
  EXPECT_EQ(lines_of("a\nb"), (Lines{"a", "b"}));
  EXPECT_EQ(lines_of(""), Lines{});
}

TEST(LineReaderTest, PassesOverAByteOrderMarkAtTheStart) {
  EXPECT_EQ(lines_of("\xef\xbb\xbf{}\n\xef\xbb\xbf{}\n"), (Lines{"{}", "\xef\xbb\xbf{}"}));
}

TEST(LineReaderTest, MarksALineThatIsTooLongAndGoesOn) {
  EXPECT_EQ(lines_of("12345\n123456\n1\n", 5), (Lines{"12345", "!", "1"}));
}

TEST(LineReaderTest, ReportsADescriptorThatCannotBeRead) {
  LineReader reader(-1, 5);
  LineReader::Line line;

  EXPECT_FALSE(reader.next(line));
  EXPECT_NE(reader.failure(), "");
}

}  // namespace
}  // namespace refrag

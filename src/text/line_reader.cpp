#include "text/line_reader.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/message.h"

namespace refrag {
namespace {

constexpr std::size_t kBufferBytes = 256u << 10;
constexpr int kTurnMs = 50;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

LineReader::LineReader(int descriptor, std::size_t max_line_bytes, std::function<bool()> gives_up)
    : descriptor_(descriptor),
      max_line_bytes_(max_line_bytes),
      gives_up_(std::move(gives_up)),
      buffer_(kBufferBytes, '\0') {}

bool LineReader::wait() {
  if (!gives_up_) {
    return true;
  }
  // In turns, not as long as it takes: a signal that comes just before the wait would not end it.
  pollfd input{.fd = descriptor_, .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    gave_up_ = gives_up_();
    ready = gave_up_ ? 0 : ::poll(&input, 1, kTurnMs);
  } while (!gave_up_ && (ready == 0 || (ready < 0 && errno == EINTR)));
  return !gave_up_;
}

bool LineReader::fill() {
  if (!wait()) {
    return false;
  }
  ssize_t count = 0;
  do {
    count = ::read(descriptor_, buffer_.data(), buffer_.size());
  } while (count < 0 && errno == EINTR);
  if (count < 0) {
    failure_ = message("cannot read: ", std::strerror(errno));
  }
  rest_ = std::string_view(buffer_).substr(0, static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return count > 0;
}

void LineReader::append(std::string_view part, Line& line) const {
  line.is_too_long = line.is_too_long || line.text.size() + part.size() > max_line_bytes_;
  if (line.is_too_long) {
    line.text.clear();
    line.text.shrink_to_fit();
  } else {
    line.text.append(part);
  }
}

bool LineReader::next(Line& line) {
  line = Line{.text = {}, .number = ++line_number_};
  bool has_input = false;
  while (!rest_.empty() || fill()) {
    has_input = true;
    const std::size_t end = rest_.find('\n');
    append(rest_.substr(0, end), line);
    if (end != std::string_view::npos) {
      rest_.remove_prefix(end + 1);
      break;
    }
    rest_ = {};
  }
  if (line.number == 1 && line.text.starts_with(kByteOrderMark)) {
    line.text.erase(0, kByteOrderMark.size());
  }
  if (line.text.ends_with('\r')) {
    line.text.pop_back();
  }
  return has_input && failure_.empty() && !gave_up_;
}

}  // namespace refrag

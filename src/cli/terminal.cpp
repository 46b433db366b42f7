#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>

#include "base/utf8.h"

namespace refrag::cli {
namespace {

std::string styled(bool colors, const char* code, std::string_view text) {
  if (!colors || text.empty()) {
    return std::string(text);
  }
  return std::string("\033[") + code + "m" + std::string(text) + "\033[0m";
}

}  // namespace

Terminal Terminal::of_stdout() {
  Terminal terminal;
  const char* term = std::getenv("TERM");
  const bool dumb = term == nullptr || std::string_view(term) == "dumb";
  terminal.colors = isatty(STDOUT_FILENO) == 1 && !dumb && std::getenv("NO_COLOR") == nullptr;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.width = size.ws_col;
  }
  return terminal;
}

std::string Terminal::dim(std::string_view text) const { return styled(colors, "2", text); }
std::string Terminal::bright(std::string_view text) const { return styled(colors, "1;93", text); }
std::string Terminal::accent(std::string_view text) const { return styled(colors, "36", text); }

std::string printable(std::string_view bytes) {
  const std::string text = to_valid_utf8(bytes);  // a lone byte 9B is a control too
  std::string shown;
  shown.reserve(text.size());
  for (std::size_t n = 0; n < text.size(); ++n) {
    const auto byte = static_cast<unsigned char>(text[n]);
    // C1 controls are C2 80 to C2 9F in UTF-8; some terminals obey them.
    const bool c1 = byte == 0xC2 && n + 1 < text.size() && static_cast<unsigned char>(text[n + 1]) < 0xA0;
    if (c1) {
      shown += '?';
      ++n;
    } else if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
      shown += '?';
    } else {
      shown += text[n];
    }
  }
  return shown;
}

}  // namespace refrag::cli

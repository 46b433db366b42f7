#include "base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <iomanip>
#include <sstream>
#include <utility>

#include "base/message.h"

namespace refrag {
namespace {

constexpr double kTerminalIntervalMs = 100;
constexpr double kPlainIntervalMs = 10'000;
constexpr std::size_t kBarWidth = 24;

std::string bar(double share) {
  const auto filled = static_cast<std::size_t>(share * kBarWidth);
  std::string text = std::string(filled, '=') + (filled < kBarWidth ? ">" : "");
  text.resize(kBarWidth, ' ');
  return "[" + text + "]";
}

std::string format_rate(double rate) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(rate < 10 ? 1 : 0) << rate << "/s";
  return out.str();
}

std::size_t terminal_columns() {
  struct winsize size {};
  const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<std::uint64_t>(std::clamp(seconds, 0.0, 3.6e9));
  std::ostringstream out;
  out << whole / 3600 << std::setfill('0') << ':' << std::setw(2) << whole / 60 % 60 << ':' << std::setw(2)
      << whole % 60;
  return out.str();
}

std::string format_progress(const std::string& label, const std::string& unit, std::size_t done, std::size_t total,
                            double elapsed_seconds, const std::string& note) {
  const double rate = elapsed_seconds > 0 ? static_cast<double>(done) / elapsed_seconds : 0;
  std::ostringstream out;
  out << label << ' ';
  if (total > 0) {
    const double share = std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
    out << bar(share) << ' ' << static_cast<int>(share * 100) << "% " << done << '/' << total << ' ' << unit;
  } else {
    out << done << ' ' << unit;
  }
  out << ", " << format_rate(rate);
  if (done < total && rate > 0) {
    out << ", " << format_duration(static_cast<double>(total - done) / rate) << " left";
  } else {
    out << ", " << format_duration(elapsed_seconds);
  }
  if (!note.empty()) {
    out << ", " << note;
  }
  return out.str();
}

ProgressBar::ProgressBar(std::string label, std::string unit, std::size_t total, bool quiet)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() { finish(); }

void ProgressBar::update(std::size_t done, const std::string& note) {
  done_ = done;
  note_ = note;
  const double interval = terminal_ ? kTerminalIntervalMs : kPlainIntervalMs;
  if (!started_ || since_start_.elapsed_ms() - last_shown_ms_ >= interval) {
    started_ = true;
    show(false);
  }
}

void ProgressBar::finish() {
  if (started_ && !finished_) {
    show(true);
  }
  finished_ = true;
}

void ProgressBar::show(bool last) {
  last_shown_ms_ = since_start_.elapsed_ms();
  if (quiet_) {
    return;
  }
  std::string line = format_progress(label_, unit_, done_, total_, last_shown_ms_ / 1000, note_);
  if (terminal_) {
    // A line that wraps could not be overwritten.
    line = message('\r', line.substr(0, terminal_columns() - 1), "\x1b[K", last ? "\n" : "");
  } else {
    line += '\n';
  }
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
}

}  // namespace refrag

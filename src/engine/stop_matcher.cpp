#include "engine/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace refrag {
namespace {

/// Length of the longest end of `text` that is a beginning of `stop`, `stop` itself excluded.
std::size_t begun(std::string_view text, std::string_view stop) {
  std::size_t length = std::min(text.size(), stop.size() - 1);
  while (!text.ends_with(stop.substr(0, length))) --length;
  return length;
}

}  // namespace

StopMatcher::StopMatcher(std::vector<std::string> stops) : stops_(std::move(stops)) {
  std::erase(stops_, std::string());
}

std::string StopMatcher::add(std::string_view text) {
  if (stopped_) return {};
  held_ += text;
  std::size_t first_begin = std::string::npos;
  std::size_t first_end = std::string::npos;
  std::size_t keep = 0;
  for (const std::string& stop : stops_) {
    keep = std::max(keep, begun(held_, stop));
    const std::size_t begin = held_.find(stop);
    if (begin == std::string::npos) continue;
    if (std::pair(begin + stop.size(), begin) < std::pair(first_end, first_begin)) {
      first_begin = begin;
      first_end = begin + stop.size();
    }
  }
  stopped_ = first_begin != std::string::npos;
  std::string shown = held_.substr(0, stopped_ ? first_begin : held_.size() - keep);
  held_ = stopped_ ? std::string() : held_.substr(shown.size());
  return shown;
}

std::string StopMatcher::finish() { return std::exchange(held_, {}); }

}  // namespace refrag

#pragma once
#include <cstddef>
#include <string>

#include "base/clock.h"

namespace refrag {

/// H:MM:SS.
std::string format_duration(double seconds);
/// "Indexing [=====>    ] 45% 450/1000 documents, 90/s, 0:00:06 left, note"; without a bar where total is 0 (not
/// known).
std::string format_progress(const std::string& label, const std::string& unit, std::size_t done, std::size_t total,
                            double elapsed_seconds, const std::string& note);

/// A progress line on standard error: a bar with rate and time left in a terminal, a plain line every ten seconds
/// elsewhere, nothing when quiet. Not thread-safe.
class ProgressBar {
 public:
  ProgressBar(std::string label, std::string unit, std::size_t total, bool quiet = false);  // total 0: not known
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();  // finishes the line
  void update(std::size_t done, const std::string& note = {});
  void set_total(std::size_t total) { total_ = total; }
  void finish();

 private:
  void show(bool last);

  std::string label_;
  std::string unit_;
  std::size_t total_;
  bool quiet_;
  bool terminal_;
  bool started_ = false;
  bool finished_ = false;
  std::size_t done_ = 0;
  std::string note_;
  Stopwatch since_start_;
  double last_shown_ms_ = 0;
};

}  // namespace refrag

#pragma once
#include <chrono>

namespace refrag {

using Clock = std::chrono::steady_clock;

inline double milliseconds_between(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double, std::milli>(to - from).count();
}

/// Milliseconds since it was made.
class Stopwatch {
 public:
  Clock::time_point start() const { return start_; }
  double elapsed_ms() const { return milliseconds_between(start_, Clock::now()); }

 private:
  Clock::time_point start_ = Clock::now();
};

}  // namespace refrag

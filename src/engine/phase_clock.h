#pragma once
#include "base/clock.h"

namespace refrag {

/// Charges the time since it was last read to one phase after another, so that the phases add up to the whole.
class PhaseClock {
 public:
  explicit PhaseClock(Clock::time_point start) : start_(start), last_(start) {}
  void charge(double& phase_ms) {
    const Clock::time_point now = Clock::now();
    phase_ms += milliseconds_between(last_, now);
    last_ = now;
  }
  double elapsed_ms() const { return milliseconds_between(start_, Clock::now()); }

 private:
  Clock::time_point start_;
  Clock::time_point last_;
};

}  // namespace refrag

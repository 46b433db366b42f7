#pragma once
#include <array>
#include <cstddef>
#include <span>

namespace refrag {

struct PrefillMeasurement {
  std::size_t positions = 0;
  double ms = 0;
};

/// Milliseconds of a prefill by its positions: a + b n + c n^2 (linear layers grow with n, attention with its square).
class LatencyModel {
 public:
  /// Least squares of the relative errors; terms that would shrink with n, or that so few sizes cannot tell apart, are
  /// left out. Throws kInternal without measurements.
  static LatencyModel fit(std::span<const PrefillMeasurement> measurements);

  double prefill_ms(std::size_t positions) const;
  double error() const { return error_; }  // the largest relative error over the measurements it was fitted to

 private:
  std::array<double, 3> coefficients_{};  // of 1, n, n^2
  double error_ = 0;
};

}  // namespace refrag

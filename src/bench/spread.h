#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "base/json_reader.h"

namespace refrag::bench {

/// What repeated measurements say: the middle, and how far they went.
struct Spread {
  std::size_t count = 0;
  double median = 0;
  double least = 0;
  double most = 0;
};

/// The value below which `share` (0 to 1) of the values lie, interpolated between the two nearest ranks; 0 without
/// values.
double percentile(std::vector<double> values, double share);
Spread spread_of(const std::vector<double>& values);
/// a[n] / b[n]: both were measured in the same round. The longer one's rest is left out, as are quotients by 0.
Spread spread_of_ratios(const std::vector<double>& a, const std::vector<double>& b);

Json to_json(const Spread& spread);
/// "16.2 (15.9 to 16.4)"; "-" without values, the median alone of one.
std::string text_of(const Spread& spread, int digits);
/// A number with so many digits behind the point.
std::string text_of(double value, int digits);

}  // namespace refrag::bench

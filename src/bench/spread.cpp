#include "bench/spread.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

namespace refrag::bench {

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double place = std::clamp(share, 0.0, 1.0) * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return std::lerp(values[below], values[above], place - static_cast<double>(below));
}

Spread spread_of(const std::vector<double>& values) {
  if (values.empty()) return {};
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  return {values.size(), percentile(values, 0.5), *least, *most};
}

Spread spread_of_ratios(const std::vector<double>& a, const std::vector<double>& b) {
  std::vector<double> ratios;
  for (std::size_t n = 0; n < std::min(a.size(), b.size()); ++n) {
    if (b[n] > 0) ratios.push_back(a[n] / b[n]);
  }
  return spread_of(ratios);
}

Json to_json(const Spread& spread) {
  if (spread.count == 0) return nullptr;
  return {{"median", spread.median}, {"min", spread.least}, {"max", spread.most}, {"runs", spread.count}};
}

std::string text_of(double value, int digits) {
  std::ostringstream out;
  out << std::fixed << std::setprecision(digits) << value;
  return out.str();
}

std::string text_of(const Spread& spread, int digits) {
  if (spread.count == 0) return "-";
  const std::string median = text_of(spread.median, digits);
  if (spread.count == 1) return median;
  return median + " (" + text_of(spread.least, digits) + " to " + text_of(spread.most, digits) + ")";
}

}  // namespace refrag::bench

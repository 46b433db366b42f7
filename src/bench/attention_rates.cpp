#include <algorithm>
#include <cmath>
#include <iterator>

#include "bench/machine.h"

namespace refrag::bench {

double MachineRates::attention_at(double positions) const {
  if (attention.empty()) return linear;
  const auto above = std::find_if(attention.begin(), attention.end(), [positions](const auto& measured) {
    return static_cast<double>(measured.first) >= positions;
  });
  if (above == attention.begin()) return above->second;
  if (above == attention.end()) return attention.rbegin()->second;
  const auto below = std::prev(above);
  const double low = std::log(static_cast<double>(below->first));
  const double high = std::log(static_cast<double>(above->first));
  return std::lerp(below->second, above->second, (std::log(positions) - low) / (high - low));
}

MachineRates better_of(MachineRates a, const MachineRates& b) {
  a.linear = std::max(a.linear, b.linear);
  a.memory = std::max(a.memory, b.memory);
  a.outside_ms = std::min(a.outside_ms, b.outside_ms);
  for (const auto& [positions, rate] : b.attention) a.attention[positions] = std::max(a.attention[positions], rate);
  return a;
}

OperationRates MachineRates::rates() const {
  return {linear, [rates = *this](double positions) { return rates.attention_at(positions); }};
}

}  // namespace refrag::bench

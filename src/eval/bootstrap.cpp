#include "eval/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

namespace refrag {
namespace {

constexpr double kTail = 0.025;  // on each side of a 95 % interval

/// Between the two nearest of the sorted values (numpy's default).
double percentile(const std::vector<double>& sorted, double share) {
  const double place = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], place - static_cast<double>(below));
}

}  // namespace

std::vector<Resampled> resampled_sums(const std::vector<std::vector<double>>& columns, std::size_t resamples,
                                      std::uint64_t seed) {
  std::vector<Resampled> sums(columns.size());
  for (std::size_t c = 0; c < columns.size(); ++c) {
    sums[c].push_back(std::accumulate(columns[c].begin(), columns[c].end(), 0.0));
  }
  const std::size_t units = columns.empty() ? 0 : columns[0].size();
  std::mt19937_64 draw(seed);
  std::vector<double> times(units);  // that a unit was drawn
  for (std::size_t n = 0; n < resamples && units > 0; ++n) {
    std::fill(times.begin(), times.end(), 0);
    for (std::size_t i = 0; i < units; ++i) {
      ++times[static_cast<std::size_t>(draw() % units)];
    }
    for (std::size_t c = 0; c < columns.size(); ++c) {
      sums[c].push_back(std::inner_product(times.begin(), times.end(), columns[c].begin(), 0.0));
    }
  }
  return sums;
}

Resampled ratio(const Resampled& sums, const Resampled& counts) {
  Resampled result(sums.size());
  std::transform(sums.begin(), sums.end(), counts.begin(), result.begin(), std::divides<>());
  return result;
}

Resampled gap_recovered(const Resampled& none, const Resampled& x, const Resampled& full) {
  Resampled result(x.size());
  for (std::size_t n = 0; n < x.size(); ++n) {
    result[n] = (none[n] - x[n]) / (none[n] - full[n]);
  }
  return result;
}

Estimate estimate(const Resampled& figures) {
  Estimate result{figures.front(), {figures.front(), figures.front()}};
  std::vector<double> sorted(figures.begin() + 1, figures.end());
  std::erase_if(sorted, [](double figure) { return !std::isfinite(figure); });
  if (!sorted.empty()) {
    std::sort(sorted.begin(), sorted.end());
    result.interval = {percentile(sorted, kTail), percentile(sorted, 1 - kTail)};
  }
  return result;
}

std::optional<Estimate> gap_estimate(const Resampled& none, const Resampled& x, const Resampled& full,
                                     bool less_is_better) {
  const double gap = less_is_better ? none.front() - full.front() : full.front() - none.front();
  if (!(gap > 0)) {
    return std::nullopt;
  }
  return estimate(gap_recovered(none, x, full));
}

}  // namespace refrag

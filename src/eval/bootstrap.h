#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace refrag {

/// A figure of the whole sample, then the same figure of each resample.
using Resampled = std::vector<double>;

struct Interval {
  double low = 0;
  double high = 0;
};

/// A figure with its bootstrap interval.
struct Estimate {
  double value = 0;
  Interval interval;  // 95 %
};

/// The sum of each column over its units, and over `resamples` draws of as many units with replacement. The draws are
/// the same for all columns, so that figures of several columns (a difference of two rows) are paired. All columns have
/// one value a unit: a question, a document.
std::vector<Resampled> resampled_sums(const std::vector<std::vector<double>>& columns, std::size_t resamples,
                                      std::uint64_t seed);

Resampled ratio(const Resampled& sums, const Resampled& counts);
/// (none - x) / (none - full): 0 where x is no better than no context, 1 where it is as good as all of it.
Resampled gap_recovered(const Resampled& none, const Resampled& x, const Resampled& full);

/// Of the percentiles 2.5 and 97.5 of the resamples; figures that are not finite are left out.
Estimate estimate(const Resampled& figures);
/// Nothing where full context is not better than none: then there is no gap.
std::optional<Estimate> gap_estimate(const Resampled& none, const Resampled& x, const Resampled& full,
                                     bool less_is_better);

}  // namespace refrag

#include "train/curriculum.h"

#include <algorithm>
#include <cmath>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag::train {
namespace {

/// The ratio of the geometric sequence of kStages terms that begins with `first` and sums to `total`, by bisection.
double ratio_of(double first, double total) {
  double low = 0;
  double high = 10;
  for (int turn = 0; turn < 200; ++turn) {
    const double middle = (low + high) / 2;
    double sum = 0;
    for (std::size_t stage = 0; stage < Curriculum::kStages; ++stage) {
      sum += first * std::pow(middle, static_cast<double>(stage));
    }
    (sum < total ? low : high) = middle;
  }
  return low;
}

double total_of(std::int64_t chunks) { return chunks <= 4 ? 2000 : chunks <= 32 ? 4000 : 8000; }

}  // namespace

const std::vector<std::int64_t>& Curriculum::sizes() {
  static const std::vector<std::int64_t> sizes = {1, 2, 4, 8, 16, 32, 64, 128, 256};
  return sizes;
}

std::array<std::int64_t, Curriculum::kStages> Curriculum::counts(std::int64_t chunks) {
  // The first stage has 1333 examples of one chunk and a quarter as many of each next size, whole and at least one.
  std::int64_t first = 1333;
  for (std::int64_t size = 1; size < chunks; size *= 2) first = std::max<std::int64_t>(1, first / 4);
  const double ratio = ratio_of(static_cast<double>(first), total_of(chunks));
  std::array<std::int64_t, kStages> counts{};
  for (std::size_t stage = 0; stage < kStages; ++stage) {
    counts[stage] = std::llround(static_cast<double>(first) * std::pow(ratio, static_cast<double>(stage)));
  }
  return counts;
}

Curriculum::Curriculum(std::int64_t max_chunks, bool even) {
  for (const std::int64_t size : sizes()) {
    if (size <= max_chunks) sizes_.push_back(size);
  }
  if (sizes_.empty()) throw Error(ErrorCode::kInternal, message("a curriculum of at most ", max_chunks, " chunks"));
  std::array<double, kStages> lengths{};
  for (const std::int64_t size : sizes_) {
    const auto column = counts(size);
    for (std::size_t stage = 0; stage < kStages; ++stage) {
      counts_[stage].push_back(column[stage]);
      lengths[stage] += even ? 1.0 : static_cast<double>(column[stage] * size);
    }
  }
  double all = 0;
  for (const double length : lengths) all += length;
  double done = 0;
  for (std::size_t stage = 0; stage < kStages; ++stage) {
    done += lengths[stage];
    ends_[stage] = done / all;
  }
}

std::size_t Curriculum::stage_at(double progress) const {
  const auto found = std::upper_bound(ends_.begin(), ends_.end(), progress);
  return std::min<std::size_t>(static_cast<std::size_t>(found - ends_.begin()), kStages - 1);
}

std::int64_t Curriculum::draw_size(double progress, Draw& draw) const {
  const std::vector<std::int64_t>& counts = counts_[stage_at(progress)];
  std::int64_t all = 0;
  for (const std::int64_t count : counts) all += count;
  if (all == 0) return sizes_.back();  // one chunk alone, in the last stage
  auto left = static_cast<std::int64_t>(draw.below(static_cast<std::uint64_t>(all)));
  for (std::size_t n = 0; n < counts.size(); ++n) {
    left -= counts[n];
    if (left < 0) return sizes_[n];
  }
  return sizes_.back();
}

}  // namespace refrag::train

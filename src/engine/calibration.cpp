#include "engine/calibration.h"

#include <algorithm>

#include "base/clock.h"

namespace refrag {
namespace {

constexpr double kLongEnoughMs = 1000;  // larger prefills would hold the other requests up
constexpr std::size_t kLeastSizes = 3;  // what a curve of three terms needs

double measure(ModelRunner& runner, std::size_t positions) {
  const SequenceId sequence = runner.open_sequence(positions);
  try {
    const std::vector<Entry> entries(positions, Entry{0, -1});
    const StepInput input{sequence, 0, entries, nullptr, 1};
    const Stopwatch watch;
    runner.step({&input, 1});
    const double ms = watch.elapsed_ms();
    runner.close_sequence(sequence);
    return ms;
  } catch (...) {
    runner.close_sequence(sequence);
    throw;
  }
}

}  // namespace

Calibration::Calibration(std::size_t max_positions) {
  for (const std::size_t size : {16u, 64u, 192u, 384u, 768u}) {
    if (size <= max_positions) sizes_.push_back(size);
  }
  if (sizes_.empty()) sizes_.push_back(std::max<std::size_t>(1, max_positions));
}

void Calibration::measure_next(ModelRunner& runner) {
  const std::size_t size = sizes_[next_++];
  const double first = measure(runner, size);  // may pay for memory that the second finds ready
  const double ms = std::min(first, measure(runner, size));
  measurements_.push_back({size, ms});
  if (ms > kLongEnoughMs && measurements_.size() >= kLeastSizes) next_ = sizes_.size();
}

}  // namespace refrag

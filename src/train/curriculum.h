#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "train/draw.h"

namespace refrag::train {

/// How many chunks an example of reconstruct and cpt has, as training goes on: the paper's table (its appendix) of nine
/// stages, in which the examples of each size follow a geometric sequence that sums to the size's total.
class Curriculum {
 public:
  static constexpr std::size_t kStages = 9;
  /// Sizes above `max_chunks` are left out. `even`: each stage is as long; else as long as its share of the chunks.
  Curriculum(std::int64_t max_chunks, bool even);

  /// The number of chunks of one example when `progress` (0 to 1, exclusive) of the training is done.
  std::int64_t draw_size(double progress, Draw& draw) const;
  std::size_t stage_at(double progress) const;  // from 0

  /// The table's column of one size: examples a stage.
  static std::array<std::int64_t, kStages> counts(std::int64_t chunks);
  static const std::vector<std::int64_t>& sizes();  // 1, 2, 4, ... 256

 private:
  std::vector<std::int64_t> sizes_;
  std::array<std::vector<std::int64_t>, kStages> counts_;  // by stage and size
  std::array<double, kStages> ends_ = {};                  // progress at which a stage is over
};

}  // namespace refrag::train

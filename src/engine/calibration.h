#pragma once
#include <cstddef>
#include <vector>

#include "engine/latency_model.h"
#include "engine/model_runner.h"

namespace refrag {

/// Measures a few prefills, one a call, so that other requests go on in between. On the engine's thread.
class Calibration {
 public:
  explicit Calibration(std::size_t max_positions);
  bool is_done() const { return next_ == sizes_.size(); }
  void measure_next(ModelRunner& runner);  // runs one prefill, twice
  LatencyModel result() const { return LatencyModel::fit(measurements_); }

 private:
  std::vector<std::size_t> sizes_;  // positions, ascending
  std::size_t next_ = 0;
  std::vector<PrefillMeasurement> measurements_;
};

}  // namespace refrag

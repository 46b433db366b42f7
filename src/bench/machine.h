#pragma once
#include <cstddef>
#include <map>

#include "bench/costs.h"
#include "refrag/model_bundle.h"

namespace refrag::bench {

/// What this machine does with the operations that the product itself uses, in the decoder's dtype. A second.
struct MachineRates {
  double linear = 0;      // operations: 2,048 rows through the widest linear layer of the shape
  double memory = 0;      // bytes read: one row through a matrix far larger than the caches, or a plain sum
  double outside_ms = 0;  // milliseconds: the head over one row, which no layer is part of
  std::map<std::size_t, double> attention;  // operations, by positions of a prefill that runs in the engine's steps

  /// Attention's rate in between: interpolated over the logarithm of the length.
  double attention_at(double positions) const;
  OperationRates rates() const;
};

/// The better of two measurements each: whatever else ran meanwhile only ever made one worse.
MachineRates better_of(MachineRates a, const MachineRates& b);

/// Best of several runs each, with the threads that the bundle set. `bundle` was made of a shape.
MachineRates measure_machine(const ModelBundle& bundle, std::size_t max_positions, std::size_t step_positions);

}  // namespace refrag::bench

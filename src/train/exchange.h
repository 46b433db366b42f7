#pragma once
#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "train/adamw.h"
#include "train/process_group.h"

namespace refrag::train {

/// Collective. Each weight's gradient becomes the sum of the processes' gradients; a weight that none of them has a
/// gradient for is left without. Returns the sum of their shares of the loss.
double sum_gradients(const ProcessGroup& group, const std::vector<NamedTensor>& weights, double loss);

/// Collective. Every process has the first one's tensors (fp32) from here on. They were equal up to rounding that
/// differs from one kind of processor to another, which would grow.
void copy_from_first(const ProcessGroup& group, const std::map<std::string, at::Tensor>& tensors);

/// Collective. Rows of all processes, [total, d] fp32; those of this one, from row `begin`, keep their gradients.
at::Tensor gather_rows(const ProcessGroup& group, const at::Tensor& own, std::size_t begin, std::size_t total);

}  // namespace refrag::train

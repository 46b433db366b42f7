#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace refrag {

/// A weight of a model that can be trained: `value` is the model's own tensor, so what an optimizer writes into it is
/// what the model computes with.
struct Parameter {
  at::Tensor value;
  /// The tensors of the checkpoint that its rows are, one below the other, with their numbers of rows: one for most,
  /// several where a layer holds projections of the same input as one matrix.
  std::vector<std::pair<std::string, std::int64_t>> stored;

  Parameter(const std::string& name, const at::Tensor& tensor)
      : value(tensor), stored{{name, tensor.dim() > 0 ? tensor.size(0) : 0}} {}
  Parameter(const at::Tensor& tensor, std::vector<std::pair<std::string, std::int64_t>> rows)
      : value(tensor), stored(std::move(rows)) {}
  const std::string& name() const { return stored.front().first; }
};

using Parameters = std::vector<Parameter>;

/// As a checkpoint has them, by name: views of the parameters.
std::map<std::string, at::Tensor> stored_tensors(const Parameters& parameters);

}  // namespace refrag

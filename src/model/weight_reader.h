#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "nn/linear.h"
#include "nn/norms.h"

namespace refrag {

/// Takes the weights that a model asks for out of a checkpoint: finds them under the names that published files use,
/// checks their shapes and that they are no integers, copies them to the wanted dtype and device, and remembers them
/// for the model's identity.
class WeightReader {
 public:
  /// `prefixes`: what may stand before all names; the first under which `probe` is found is used.
  WeightReader(Checkpoint checkpoint, const at::TensorOptions& options, const std::vector<std::string>& prefixes = {""},
               const std::string& probe = {}, nn::WeightLayout layout = nn::WeightLayout::kPlain);

  bool has(const std::string& name) const;
  struct MatrixSize {
    std::size_t rows = 0;
    std::size_t columns = 0;
  };
  MatrixSize matrix_size(const std::string& name) const;  // throws kCorrupt where there is none or it is no matrix

  at::Tensor tensor(const std::string& name, const std::vector<std::int64_t>& shape);
  at::Tensor table(const std::string& name, std::size_t rows, std::size_t width);
  nn::Linear linear(const std::string& name, std::size_t outputs, std::size_t inputs);  // NAME.weight, NAME.bias
  nn::LayerNorm norm(const std::string& name, std::size_t width, double eps);  // weight and bias, or gamma and beta

  /// SHA-256 of all that was taken so far: names without prefix, shapes, and values as fp32, in order of names. So the
  /// same model stored in another dtype that holds its values, sharded, or under a prefix is the same model.
  std::string identity() const;

 private:
  std::string stored_name(const std::string& name) const;

  Checkpoint checkpoint_;
  at::TensorOptions options_;
  nn::WeightLayout layout_;  // of the linear layers
  std::string prefix_;
  std::map<std::string, std::string> taken_;  // name to stored name
};

}  // namespace refrag

#include "model/projector.h"

#include <ATen/ATen.h>

namespace refrag {

Projector::Projector(WeightReader& weights)
    : input_width_(weights.matrix_size("fc1.weight").columns),
      hidden_width_(weights.matrix_size("fc1.weight").rows),
      output_width_(weights.matrix_size("fc2.weight").rows),
      fc1_(weights.linear("fc1", hidden_width_, input_width_)),
      fc2_(weights.linear("fc2", output_width_, hidden_width_)),
      identity_(weights.identity()) {}

std::shared_ptr<const Projector> Projector::load(const std::filesystem::path& file, at::Device device,
                                                 nn::WeightLayout layout) {
  WeightReader weights(Checkpoint::open(file), at::TensorOptions(at::kFloat).device(device), {""}, {}, layout);
  return std::make_shared<Projector>(weights);
}

Parameters Projector::parameters() const {
  return {{"fc1.weight", fc1_.weight}, {"fc1.bias", fc1_.bias}, {"fc2.weight", fc2_.weight}, {"fc2.bias", fc2_.bias}};
}

at::Tensor Projector::forward(const at::Tensor& chunks) const {
  const at::Tensor hidden = at::gelu(fc1_(chunks.to(fc1_.bias.options())));  // [L, w]
  return fc2_(hidden);
}

}  // namespace refrag

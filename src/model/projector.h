#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "model/parameter.h"
#include "model/weight_reader.h"

namespace refrag {

/// Chunk vectors to the decoder's embedding space: fc2(gelu(fc1(x))), GELU by erf. Always fp32: it is small beside the
/// decoder. Immutable and thread-safe.
class Projector {
 public:
  explicit Projector(WeightReader& weights);
  /// The widths are the file's.
  static std::shared_ptr<const Projector> load(const std::filesystem::path& file, at::Device device,
                                               nn::WeightLayout layout = nn::WeightLayout::kPlain);

  at::Tensor forward(const at::Tensor& chunks) const;  // [L, d_enc] to [L, d_dec]
  Parameters parameters() const;
  std::size_t input_width() const { return input_width_; }
  std::size_t output_width() const { return output_width_; }
  std::size_t hidden_width() const { return hidden_width_; }
  const std::string& identity() const { return identity_; }  // SHA-256 of the weights

 private:
  std::size_t input_width_;   // d_enc
  std::size_t hidden_width_;  // w
  std::size_t output_width_;  // d_dec
  nn::Linear fc1_, fc2_;
  std::string identity_;
};

}  // namespace refrag

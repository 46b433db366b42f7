#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "model/encoder_config.h"
#include "model/parameter.h"
#include "model/weight_reader.h"

namespace refrag {

/// What all layers of a model have in common.
struct BertLayerShape {
  std::size_t width = 0;  // d
  std::size_t num_heads = 0;
  std::size_t ffn_width = 0;
  double norm_eps = 1e-12;
  EncoderConfig::Activation activation = EncoderConfig::Activation::kGelu;
};

/// A post-LN transformer layer with bidirectional attention, as Hugging Face's BertLayer has it.
class BertLayer {
 public:
  /// Tensors PREFIXattention.self.query.weight and so on.
  BertLayer(WeightReader& weights, const std::string& prefix, const BertLayerShape& shape);

  /// x: [B, L, d]; mask: [B, L] bool, or undefined where nothing is padded. Result: [B, L, d].
  at::Tensor forward(const at::Tensor& x, const at::Tensor& mask) const;
  void add_parameters(const std::string& prefix, Parameters& parameters) const;

 private:
  at::Tensor attend(const at::Tensor& x, const at::Tensor& mask) const;
  at::Tensor activate(const at::Tensor& x) const;

  std::int64_t num_heads_;
  EncoderConfig::Activation activation_;
  nn::Linear query_, key_, value_, attention_output_;
  nn::LayerNorm attention_norm_;
  nn::Linear intermediate_, output_;
  nn::LayerNorm output_norm_;
};

}  // namespace refrag

#include "model/bert_layer.h"

#include <ATen/ATen.h>

#include "nn/attention.h"

namespace refrag {
BertLayer::BertLayer(WeightReader& weights, const std::string& prefix, const BertLayerShape& shape)
    : num_heads_(static_cast<std::int64_t>(shape.num_heads)),
      activation_(shape.activation),
      query_(weights.linear(prefix + "attention.self.query", shape.width, shape.width)),
      key_(weights.linear(prefix + "attention.self.key", shape.width, shape.width)),
      value_(weights.linear(prefix + "attention.self.value", shape.width, shape.width)),
      attention_output_(weights.linear(prefix + "attention.output.dense", shape.width, shape.width)),
      attention_norm_(weights.norm(prefix + "attention.output.LayerNorm", shape.width, shape.norm_eps)),
      intermediate_(weights.linear(prefix + "intermediate.dense", shape.ffn_width, shape.width)),
      output_(weights.linear(prefix + "output.dense", shape.width, shape.ffn_width)),
      output_norm_(weights.norm(prefix + "output.LayerNorm", shape.width, shape.norm_eps)) {}

at::Tensor BertLayer::forward(const at::Tensor& x, const at::Tensor& mask) const {
  const at::Tensor a = attention_norm_(x + attention_output_(attend(x, mask)));  // [B, L, d]
  const at::Tensor f = activate(intermediate_(a));                               // [B, L, ffn]
  return output_norm_(a + output_(f));
}

void BertLayer::add_parameters(const std::string& prefix, Parameters& parameters) const {
  const auto add = [&](const std::string& name, const auto& layer) {
    parameters.emplace_back(prefix + name + ".weight", layer.weight);
    parameters.emplace_back(prefix + name + ".bias", layer.bias);
  };
  add("attention.self.query", query_);
  add("attention.self.key", key_);
  add("attention.self.value", value_);
  add("attention.output.dense", attention_output_);
  add("attention.output.LayerNorm", attention_norm_);
  add("intermediate.dense", intermediate_);
  add("output.dense", output_);
  add("output.LayerNorm", output_norm_);
}

at::Tensor BertLayer::attend(const at::Tensor& x, const at::Tensor& mask) const {
  const auto split_heads = [&](const at::Tensor& rows) { return rows.unflatten(2, {num_heads_, -1}); };
  return nn::attend_all(split_heads(query_(x)), split_heads(key_(x)), split_heads(value_(x)), mask);
}

at::Tensor BertLayer::activate(const at::Tensor& x) const {
  switch (activation_) {
    case EncoderConfig::Activation::kGelu:
      return at::gelu(x);
    case EncoderConfig::Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case EncoderConfig::Activation::kRelu:
      return at::relu(x);
  }
  return x;
}

}  // namespace refrag

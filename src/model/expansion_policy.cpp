#include "model/expansion_policy.h"

#include <ATen/ATen.h>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::size_t kNumLayers = 2;
constexpr std::int64_t kQuestion = 0;
constexpr std::int64_t kContext = 1;

BertLayerShape read_shape(const WeightReader& weights, const PolicyOptions& options) {
  const auto [ffn_width, width] = weights.matrix_size("layer.0.intermediate.dense.weight");
  if (options.heads == 0 || width % options.heads != 0) {
    throw Error(ErrorCode::kCorrupt,
                message("policy.heads is ", options.heads, "; expected a divisor of the policy's width, ", width));
  }
  return {width, options.heads, ffn_width, options.norm_eps, EncoderConfig::Activation::kGelu};
}

}  // namespace

ExpansionPolicy::ExpansionPolicy(WeightReader& weights, const PolicyOptions& options)
    : options_(options),
      shape_(read_shape(weights, options)),
      types_(weights.table("type_embeddings.weight", 2, shape_.width)),
      positions_(weights.table("position_embeddings.weight", weights.matrix_size("position_embeddings.weight").rows,
                               shape_.width)),
      norm_(weights.norm("LayerNorm", shape_.width, shape_.norm_eps)),
      head_(weights.linear("head", 1, shape_.width)) {
  for (std::size_t n = 0; n < kNumLayers; ++n) {
    layers_.emplace_back(weights, message("layer.", n, "."), shape_);
  }
}

std::shared_ptr<const ExpansionPolicy> ExpansionPolicy::load(const std::filesystem::path& file,
                                                             const PolicyOptions& options, at::Device device,
                                                             nn::WeightLayout layout) {
  WeightReader weights(Checkpoint::open(file), at::TensorOptions(at::kFloat).device(device), {""}, {}, layout);
  return std::make_shared<ExpansionPolicy>(weights, options);
}

Parameters ExpansionPolicy::parameters() const {
  Parameters parameters = {{"type_embeddings.weight", types_}, {"position_embeddings.weight", positions_},
                           {"LayerNorm.weight", norm_.weight}, {"LayerNorm.bias", norm_.bias},
                           {"head.weight", head_.weight},      {"head.bias", head_.bias}};
  for (std::size_t n = 0; n < layers_.size(); ++n) {
    layers_[n].add_parameters(message("layer.", n, "."), parameters);
  }
  return parameters;
}

// The first n rows of the table. Where n is past its end: n points spread evenly over the whole table, interpolated
// between its rows, so that order, beginning and end stay what training showed at any length.
at::Tensor ExpansionPolicy::positions(std::int64_t n) const {
  const std::int64_t trained = positions_.size(0);
  if (n <= trained) {
    return positions_.narrow(0, 0, n);
  }
  const at::Tensor points = at::linspace(0, static_cast<double>(trained - 1), n, at::kDouble);
  const at::Tensor below = points.floor().clamp_max(static_cast<double>(std::max<std::int64_t>(trained - 2, 0)));
  const at::Tensor rows = below.to(at::kLong).to(positions_.device());
  const at::Tensor share = (points - below).to(positions_.options()).unsqueeze(1);  // [n, 1], 0 to 1
  const at::Tensor next = (rows + 1).clamp_max(trained - 1);
  return at::lerp(at::embedding(positions_, rows), at::embedding(positions_, next), share);
}

// [n, d] with type and positions added.
at::Tensor ExpansionPolicy::place(const at::Tensor& chunks, std::int64_t type) const {
  return chunks.to(types_.options()) + types_[type] + positions(chunks.size(0));
}

at::Tensor ExpansionPolicy::forward(const at::Tensor& question, const at::Tensor& context) const {
  const std::int64_t num_chunks = context.size(0);
  at::Tensor x = place(context, kContext);  // [L, d]
  if (options_.question_aware) {
    x = at::cat({place(question, kQuestion), x});  // [Q + L, d]
  }
  x = norm_(x).unsqueeze(0);  // one row of a batch
  for (const BertLayer& layer : layers_) {
    x = layer.forward(x, {});
  }
  const at::Tensor chunks = x[0].narrow(0, x.size(1) - num_chunks, num_chunks);
  return head_(chunks).squeeze(1).cpu();  // [L]
}

}  // namespace refrag

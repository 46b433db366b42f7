#include "model/llama_decoder.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <set>
#include <string>
#include <utility>

#include "base/message.h"
#include "nn/recompute.h"
#include "refrag/error.h"

namespace refrag {
namespace {

/// Takes tensors out of a checkpoint by name, in the dtype and on the device that are wanted, and knows at the end
/// which ones nobody took.
class WeightLoader {
 public:
  WeightLoader(const Checkpoint& checkpoint, const at::TensorOptions& options, nn::WeightLayout layout)
      : checkpoint_(checkpoint), options_(options), layout_(layout) {}

  at::Tensor tensor(const std::string& name, const std::vector<std::int64_t>& shape) {
    return stored(name, shape).to(options_, /*non_blocking=*/false, /*copy=*/true);  // the file may be replaced later
  }

  nn::RmsNorm norm(const std::string& name, std::int64_t width, double eps) {
    return {tensor(name + ".weight", {width}), eps};
  }

  /// Layers that read the same input as one: their rows one below the other.
  nn::Linear linear(const std::vector<std::pair<std::string, std::int64_t>>& names_and_outputs, std::int64_t inputs,
                    bool has_bias) {
    std::vector<at::Tensor> weights;
    std::vector<at::Tensor> biases;
    for (const auto& [name, outputs] : names_and_outputs) {
      // int8 is made of what is stored: another dtype in between would round twice.
      const at::Tensor weight = stored(name + ".weight", {outputs, inputs});
      weights.push_back(layout_ == nn::WeightLayout::kInt8 ? weight.to(options_.device()) : weight.to(options_));
      if (has_bias) {
        biases.push_back(stored(name + ".bias", {outputs}).to(options_));
      }
    }
    nn::Linear linear{at::cat(weights), has_bias ? at::cat(biases) : at::Tensor()};  // cat copies, of one tensor too
    weights.clear();  // or they, their copy and its layout would be there at once
    linear.lay_out(layout_);
    if (linear.weight.defined()) linear.weight = linear.weight.to(options_);  // what int8 could not take
    return linear;
  }

  /// Whatever was left would have taken part in a computation that we do not know.
  void finish(bool ignore_head) const {
    for (const std::string& name : checkpoint_.names()) {
      const bool is_harmless = name.ends_with("rotary_emb.inv_freq") || (ignore_head && name == "lm_head.weight");
      if (!is_harmless && !taken_.contains(name)) {
        throw Error(ErrorCode::kUnsupported,
                    message(checkpoint_.file_of(name), ": tensor \"", name,
                            "\" has no place in the LlamaForCausalLM that config.json describes"));
      }
    }
  }

 private:
  at::Tensor stored(const std::string& name, const std::vector<std::int64_t>& shape) {
    taken_.insert(name);
    return checkpoint_.weight(name, shape);
  }

  const Checkpoint& checkpoint_;
  at::TensorOptions options_;
  nn::WeightLayout layout_;
  std::set<std::string> taken_;
};

LlamaLayer load_layer(WeightLoader& weights, const LlamaConfig& config, std::int64_t number) {
  const std::string prefix = message("model.layers.", number, ".");
  const std::string attention = prefix + "self_attn.";
  const std::string mlp = prefix + "mlp.";
  const std::int64_t q_width = config.num_heads * config.head_dim;
  const std::int64_t kv_width = config.num_kv_heads * config.head_dim;
  LlamaLayer layer;
  layer.num_heads = config.num_heads;
  layer.num_kv_heads = config.num_kv_heads;
  layer.attention_norm = weights.norm(prefix + "input_layernorm", config.width, config.norm_eps);
  layer.qkv_proj = weights.linear(
      {{attention + "q_proj", q_width}, {attention + "k_proj", kv_width}, {attention + "v_proj", kv_width}},
      config.width, config.attention_bias);
  layer.o_proj = weights.linear({{attention + "o_proj", config.width}}, q_width, config.attention_bias);
  layer.ffn_norm = weights.norm(prefix + "post_attention_layernorm", config.width, config.norm_eps);
  layer.gate_up_proj = weights.linear({{mlp + "gate_proj", config.ffn_width}, {mlp + "up_proj", config.ffn_width}},
                                      config.width, config.mlp_bias);
  layer.down_proj = weights.linear({{mlp + "down_proj", config.width}}, config.ffn_width, config.mlp_bias);
  return layer;
}

/// Each sequence counts on from what its cache holds.
at::Tensor positions_of(std::span<const SequenceRows> sequences, at::Device device) {
  std::vector<std::int64_t> positions;
  for (const SequenceRows& sequence : sequences) {
    const std::int64_t past = sequence.cache != nullptr ? sequence.cache->length()
                              : sequence.follows >= 0   ? sequences[static_cast<std::size_t>(sequence.follows)].rows
                                                        : 0;
    for (std::int64_t row = 0; row < sequence.rows; ++row) {
      positions.push_back(past + row);
    }
  }
  return at::tensor(positions, at::kLong).to(device);
}

/// Training on a GPU: sequences without caches, and enough of them that a kernel each would cost more than the work.
std::optional<nn::PackedRows> pack(std::span<const SequenceRows> sequences, at::Device device) {
  if (!device.is_cuda()) return std::nullopt;
  std::vector<std::pair<std::int64_t, std::int64_t>> rows_and_follows;
  for (const SequenceRows& sequence : sequences) {
    if (sequence.cache != nullptr) return std::nullopt;
    rows_and_follows.emplace_back(sequence.rows, sequence.follows);
  }
  return nn::PackedRows::of(rows_and_follows, device);
}

}  // namespace

std::shared_ptr<const LlamaDecoder> LlamaDecoder::load(const std::filesystem::path& directory,
                                                       const at::TensorOptions& options, nn::WeightLayout layout) {
  const LlamaConfig config = read_llama_config(directory);  // first: it names what is not supported
  return std::make_shared<const LlamaDecoder>(config, Checkpoint::open(directory), options, layout);
}

LlamaDecoder::LlamaDecoder(const LlamaConfig& config, Checkpoint checkpoint, const at::TensorOptions& options,
                           nn::WeightLayout layout)
    : config_(config),
      options_(options),
      layout_(layout),
      rotary_(config.rotary, options.device()),
      unread_(std::make_unique<const Checkpoint>(std::move(checkpoint))) {
  copy_weights(config_, *unread_, options_.device(at::kMeta),
               layout_);  // names, shapes and dtypes; not a byte of the data
}

std::unique_ptr<const LlamaDecoder::Weights> LlamaDecoder::copy_weights(const LlamaConfig& config,
                                                                        const Checkpoint& checkpoint,
                                                                        const at::TensorOptions& options,
                                                                        nn::WeightLayout layout) {
  WeightLoader loader(checkpoint, options, layout);
  auto weights = std::make_unique<Weights>();
  weights->embedding.weight = loader.tensor("model.embed_tokens.weight", {config.vocab_size, config.width});
  for (std::int64_t number = 0; number < config.num_layers; ++number) {
    weights->layers.push_back(load_layer(loader, config, number));
  }
  weights->norm = loader.norm("model.norm", config.width, config.norm_eps);
  const bool tied = config.tied_embeddings;
  if (tied && layout != nn::WeightLayout::kInt8) {
    weights->lm_head.weight = weights->embedding.weight;
    weights->lm_head.lay_out(layout);
  } else {  // int8 of what is stored, not of the embedding, which is rounded already
    const std::string name = tied ? "model.embed_tokens" : "lm_head";
    weights->lm_head = loader.linear({{name, config.vocab_size}}, config.width, /*has_bias=*/false);
  }
  loader.finish(/*ignore_head=*/config.tied_embeddings);
  return weights;
}

void LlamaDecoder::read_weights() const {
  std::call_once(read_once_, [this] {
    const c10::InferenceMode off(false);  // training could not use what inference mode makes
    weights_ = copy_weights(config_, *unread_, options_, layout_);
    unread_.reset();
  });
}

const LlamaDecoder::Weights& LlamaDecoder::weights() const {
  read_weights();
  return *weights_;
}

at::Tensor LlamaDecoder::embed(std::span<const TokenId> ids) const {
  for (const TokenId id : ids) {
    if (id < 0 || id >= config_.vocab_size) {
      throw Error(ErrorCode::kInvalidArgument,
                  message("token id ", id, " is not in the decoder's vocabulary of ", config_.vocab_size));
    }
  }
  const at::Tensor indices = at::tensor(at::ArrayRef<TokenId>(ids.data(), ids.size()), at::kInt);
  return weights().embedding(indices.to(options_.device()));
}

ForwardPass LlamaDecoder::begin_pass(std::span<const SequenceRows> sequences) const {
  const at::Device device = options_.device();
  return {rotary_.at(positions_of(sequences, device)), {sequences.begin(), sequences.end()}, pack(sequences, device)};
}

at::Tensor LlamaDecoder::forward(const at::Tensor& x, std::span<const SequenceRows> sequences) const {
  const ForwardPass pass = begin_pass(sequences);
  const Weights& weights = this->weights();
  at::Tensor y = x.to(options_);
  for (std::size_t number = 0; number < weights.layers.size(); ++number) {
    y = weights.layers[number].forward(y, pass, number);
  }
  for (const SequenceRows& sequence : sequences) {
    if (sequence.cache != nullptr) {
      sequence.cache->advance(sequence.rows);
    }
  }
  return weights.norm(y);
}

at::Tensor LlamaDecoder::forward_recomputed(const at::Tensor& x, std::span<const SequenceRows> sequences) const {
  const auto pass = std::make_shared<const ForwardPass>(begin_pass(sequences));  // until the backward pass is through
  const Weights& weights = this->weights();
  at::Tensor y = x.to(options_);
  for (std::size_t number = 0; number < weights.layers.size(); ++number) {
    y = nn::recompute([&layer = weights.layers[number], pass,
                       number](const at::Tensor& rows) { return layer.forward(rows, *pass, number); },
                      y);
  }
  return weights.norm(y);
}

at::Tensor LlamaDecoder::forward(const at::Tensor& x, KvCache* cache) const {
  const SequenceRows whole{x.size(0), cache};
  return forward(x, std::span(&whole, 1));
}

at::Tensor LlamaDecoder::logits(const at::Tensor& hidden) const { return weights().lm_head(hidden).to(at::kFloat); }

Parameters LlamaDecoder::parameters() const {
  const Weights& weights = this->weights();
  const std::int64_t q_rows = config_.num_heads * config_.head_dim;
  const std::int64_t kv_rows = config_.num_kv_heads * config_.head_dim;
  Parameters parameters = {{"model.embed_tokens.weight", weights.embedding.weight}};
  for (std::size_t number = 0; number < weights.layers.size(); ++number) {
    const LlamaLayer& layer = weights.layers[number];
    const std::string prefix = message("model.layers.", number, ".");
    const auto add = [&](const nn::Linear& linear, const std::vector<std::pair<std::string, std::int64_t>>& rows) {
      for (const auto& [tensor, kind] : {std::pair{linear.weight, ".weight"}, std::pair{linear.bias, ".bias"}}) {
        if (tensor.defined()) {
          Parameter& added = parameters.emplace_back(tensor, rows);
          for (auto& [name, unused] : added.stored) name = message(prefix, name, kind);
        }
      }
    };
    parameters.emplace_back(prefix + "input_layernorm.weight", layer.attention_norm.weight);
    add(layer.qkv_proj, {{"self_attn.q_proj", q_rows}, {"self_attn.k_proj", kv_rows}, {"self_attn.v_proj", kv_rows}});
    add(layer.o_proj, {{"self_attn.o_proj", config_.width}});
    parameters.emplace_back(prefix + "post_attention_layernorm.weight", layer.ffn_norm.weight);
    add(layer.gate_up_proj, {{"mlp.gate_proj", config_.ffn_width}, {"mlp.up_proj", config_.ffn_width}});
    add(layer.down_proj, {{"mlp.down_proj", config_.width}});
  }
  parameters.emplace_back("model.norm.weight", weights.norm.weight);
  if (!config_.tied_embeddings) parameters.emplace_back("lm_head.weight", weights.lm_head.weight);
  return parameters;
}

KvCache LlamaDecoder::make_cache(std::int64_t capacity) const {
  return {{config_.num_layers, config_.num_kv_heads, config_.head_dim}, options_, capacity};
}

std::uint64_t LlamaDecoder::kv_bytes_per_position() const {
  return static_cast<std::uint64_t>(2 * config_.num_layers * config_.num_kv_heads * config_.head_dim) *
         c10::elementSize(c10::typeMetaToScalarType(options_.dtype()));
}

}  // namespace refrag

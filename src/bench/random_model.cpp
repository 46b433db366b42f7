#include "bench/random_model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/message.h"
#include "model/model_options.h"
#include "model/parts.h"

namespace refrag::bench {
namespace {

constexpr std::size_t kPolicyPositions = 1024;  // rows of its table; more chunks are interpolated between them

Json llama_config(std::size_t vocab, std::size_t width, std::size_t ffn, std::size_t layers, std::size_t heads,
                  std::size_t kv_heads, bool tied) {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"model_type", "llama"},
          {"vocab_size", vocab},
          {"hidden_size", width},
          {"intermediate_size", ffn},
          {"num_hidden_layers", layers},
          {"num_attention_heads", heads},
          {"num_key_value_heads", kv_heads},
          {"rms_norm_eps", 1e-5},
          {"tie_word_embeddings", tied}};
}

Json roberta_config(std::size_t vocab, std::size_t width, std::size_t ffn, std::size_t layers, std::size_t heads) {
  return {{"architectures", {"RobertaModel"}},
          {"model_type", "roberta"},
          {"vocab_size", vocab},
          {"hidden_size", width},
          {"intermediate_size", ffn},
          {"num_hidden_layers", layers},
          {"num_attention_heads", heads},
          {"max_position_embeddings", 514},
          {"type_vocab_size", 1},
          {"layer_norm_eps", 1e-5},
          {"pad_token_id", 1}};
}

const std::map<std::string, Json>& decoder_configs() {
  static const std::map<std::string, Json> configs = {
      {"tiny", llama_config(2048, 192, 512, 6, 3, 3, true)},             // tests/golden/bundles/refrag-tiny
      {"smollm2", llama_config(49152, 576, 1536, 30, 9, 3, true)},       // SmolLM2-135M
      {"tinyllama", llama_config(32000, 2048, 5632, 22, 32, 4, false)},  // TinyLlama-1.1B
      {"llama2-7b", llama_config(32000, 4096, 11008, 32, 32, 32, false)},
  };
  return configs;
}

const std::map<std::string, Json>& encoder_configs() {
  static const std::map<std::string, Json> configs = {
      {"tiny", roberta_config(2048, 192, 768, 3, 8)},  // tests/golden/bundles/refrag-tiny
      {"roberta-base", roberta_config(50265, 768, 3072, 12, 12)},
      {"roberta-large", roberta_config(50265, 1024, 4096, 24, 16)},
  };
  return configs;
}

Json find_config(const std::map<std::string, Json>& known, const std::string& name_or_file, const char* option) {
  if (const auto found = known.find(name_or_file); found != known.end()) return found->second;
  std::filesystem::path file = name_or_file;
  if (std::filesystem::is_directory(file)) file /= "config.json";
  if (std::filesystem::exists(file)) return parse_json_file(file);
  std::string names;
  for (const auto& [name, config] : known) names += name + ", ";
  throw Error(ErrorCode::kNotFound,
              message(option, " is '", name_or_file, "'; expected ", names, "a config.json or a model's directory"),
              option);
}

DecoderShape shape_of(const LlamaConfig& config, const std::string& name) {
  const auto size = [](std::int64_t value) { return static_cast<std::size_t>(value); };
  return {name,
          size(config.num_layers),
          size(config.width),
          size(config.num_heads),
          size(config.num_kv_heads),
          size(config.head_dim),
          size(config.ffn_width),
          size(config.vocab_size),
          config.tied_embeddings};
}

/// Makes the tensors of a model by name. Equal shapes share one: whoever reads them makes copies anyway.
class RandomTensors {
 public:
  explicit RandomTensors(std::uint64_t seed) : generator_(at::make_generator<at::CPUGeneratorImpl>(seed)) {}

  /// [outputs, inputs], scaled so that activations keep their size.
  void matrix(const std::string& name, std::int64_t outputs, std::int64_t inputs) {
    const auto [place, is_new] = matrices_.try_emplace({outputs, inputs});
    if (is_new) {
      const double bound = std::sqrt(3.0 / static_cast<double>(inputs));
      place->second = at::empty({outputs, inputs}, at::kFloat).uniform_(-bound, bound, generator_);
    }
    tensors_[name] = place->second;
  }
  void linear(const std::string& name, std::int64_t outputs, std::int64_t inputs) {
    matrix(name + ".weight", outputs, inputs);
    tensors_[name + ".bias"] = at::zeros({outputs}, at::kFloat);
  }
  void norm(const std::string& name, std::int64_t width, bool has_bias) {
    tensors_[name + ".weight"] = at::ones({width}, at::kFloat);
    if (has_bias) tensors_[name + ".bias"] = at::zeros({width}, at::kFloat);
  }

  Checkpoint take() { return Checkpoint::of_tensors(std::exchange(tensors_, {}), "random weights"); }

 private:
  at::Generator generator_;
  std::map<std::pair<std::int64_t, std::int64_t>, at::Tensor> matrices_;
  std::map<std::string, at::Tensor> tensors_;
};

Checkpoint decoder_weights(const LlamaConfig& config, RandomTensors& random) {
  const std::int64_t q_width = config.num_heads * config.head_dim;
  const std::int64_t kv_width = config.num_kv_heads * config.head_dim;
  const auto linear = [&](const std::string& name, std::int64_t outputs, std::int64_t inputs, bool has_bias) {
    has_bias ? random.linear(name, outputs, inputs) : random.matrix(name + ".weight", outputs, inputs);
  };
  random.matrix("model.embed_tokens.weight", config.vocab_size, config.width);
  for (std::int64_t n = 0; n < config.num_layers; ++n) {
    const std::string layer = message("model.layers.", n, ".");
    random.norm(layer + "input_layernorm", config.width, false);
    random.norm(layer + "post_attention_layernorm", config.width, false);
    linear(layer + "self_attn.q_proj", q_width, config.width, config.attention_bias);
    linear(layer + "self_attn.k_proj", kv_width, config.width, config.attention_bias);
    linear(layer + "self_attn.v_proj", kv_width, config.width, config.attention_bias);
    linear(layer + "self_attn.o_proj", config.width, q_width, config.attention_bias);
    linear(layer + "mlp.gate_proj", config.ffn_width, config.width, config.mlp_bias);
    linear(layer + "mlp.up_proj", config.ffn_width, config.width, config.mlp_bias);
    linear(layer + "mlp.down_proj", config.width, config.ffn_width, config.mlp_bias);
  }
  random.norm("model.norm", config.width, false);
  if (!config.tied_embeddings) random.matrix("lm_head.weight", config.vocab_size, config.width);
  return random.take();
}

void add_encoder_layer(RandomTensors& random, const std::string& prefix, std::int64_t width, std::int64_t ffn_width) {
  for (const char* name : {"query", "key", "value"}) random.linear(prefix + "attention.self." + name, width, width);
  random.linear(prefix + "attention.output.dense", width, width);
  random.norm(prefix + "attention.output.LayerNorm", width, true);
  random.linear(prefix + "intermediate.dense", ffn_width, width);
  random.linear(prefix + "output.dense", width, ffn_width);
  random.norm(prefix + "output.LayerNorm", width, true);
}

Checkpoint encoder_weights(const EncoderConfig& config, RandomTensors& random) {
  const auto width = static_cast<std::int64_t>(config.width);
  random.matrix("embeddings.word_embeddings.weight", static_cast<std::int64_t>(config.vocab_size), width);
  random.matrix("embeddings.position_embeddings.weight", static_cast<std::int64_t>(config.position_rows), width);
  random.matrix("embeddings.token_type_embeddings.weight", static_cast<std::int64_t>(config.num_types), width);
  random.norm("embeddings.LayerNorm", width, true);
  for (std::size_t n = 0; n < config.num_layers; ++n) {
    add_encoder_layer(random, message("encoder.layer.", n, "."), width, static_cast<std::int64_t>(config.ffn_width));
  }
  return random.take();
}

Checkpoint projector_weights(std::int64_t input_width, std::int64_t output_width, RandomTensors& random) {
  random.linear("fc1", output_width, input_width);  // as wide in between as at its end (the paper's, section 2)
  random.linear("fc2", output_width, output_width);
  return random.take();
}

Checkpoint policy_weights(std::int64_t width, std::int64_t ffn_width, RandomTensors& random) {
  random.matrix("type_embeddings.weight", 2, width);
  random.matrix("position_embeddings.weight", kPolicyPositions, width);
  random.norm("LayerNorm", width, true);
  random.linear("head", 1, width);
  for (const char* layer : {"layer.0.", "layer.1."}) add_encoder_layer(random, layer, width, ffn_width);
  return random.take();
}

}  // namespace

Json decoder_config(const std::string& name_or_file) { return find_config(decoder_configs(), name_or_file, "--shape"); }
Json encoder_config(const std::string& name_or_file) {
  return find_config(encoder_configs(), name_or_file, "--encoder");
}

DecoderShape read_decoder_shape(const Json& config, const std::string& name) {
  return shape_of(parse_llama_config(config, Json(), name), name);
}

EncoderShape read_encoder_shape(const Json& json, const std::string& name) {
  const EncoderConfig config = parse_encoder_config(json, name);
  return {name, config.num_layers, config.width, config.ffn_width};
}

RandomModel::RandomModel(const RandomModelOptions& options) : parts_(nullptr) {
  LlamaConfig decoder = parse_llama_config(decoder_config(options.decoder), Json(), options.decoder);
  decoder_ = shape_of(decoder, options.decoder);
  if (options.layers > decoder_.layers) {
    throw Error(ErrorCode::kInvalidArgument,
                message("--layers is ", options.layers, "; ", options.decoder, " has ", decoder_.layers), "--layers");
  }
  layers_run_ = options.layers > 0 ? options.layers : decoder_.layers;
  decoder.num_layers = static_cast<std::int64_t>(layers_run_);
  decoder.max_positions = static_cast<std::int64_t>(options.max_positions);
  decoder.eos_ids.clear();  // every answer is as long as was asked for
  tokenizer_ = std::make_shared<const SyntheticTokenizer>(decoder_.vocab_size);

  EncoderConfig encoder = parse_encoder_config(encoder_config(options.encoder), options.encoder);
  encoder_ = {options.encoder, encoder.num_layers, encoder.width, encoder.ffn_width};
  encoder.vocab_size = std::max(encoder.vocab_size, decoder_.vocab_size);  // it reads the decoder's ids

  auto parts = std::make_unique<ModelBundle::Parts>();
  parts->options = resolve({.dtype = options.dtype, .threads = options.threads});
  at::set_num_threads(static_cast<int>(parts->options.threads));
  const at::TensorOptions computes = tensor_options(parts->options);
  parts->name = message("random weights of ", options.decoder);
  parts->tokenizer = tokenizer_;
  parts->default_retrieve = RetrieveMode::kLexical;
  parts->passage_tokens = 256;

  RandomTensors random(options.seed);
  parts->decoder = std::make_shared<const LlamaDecoder>(decoder, decoder_weights(decoder, random), computes,
                                                        layouts_of(parts->options).decoder);
  parts->decoder->read_weights();
  WeightReader of_encoder(encoder_weights(encoder, random), computes, {""}, {}, nn::WeightLayout::kBlocked);
  ChunkInput input;
  input.start = SyntheticTokenizer::kBos;
  input.end = SyntheticTokenizer::kEos;
  parts->chunk_encoder = std::make_shared<const ChunkEncoder>(
      std::make_shared<const RobertaEncoder>(encoder, of_encoder), tokenizer_, std::move(input));
  const auto width = static_cast<std::int64_t>(encoder.width);
  WeightReader of_projector(projector_weights(width, decoder.width, random), at::TensorOptions(at::kFloat), {""}, {},
                            nn::WeightLayout::kBlocked);
  parts->projector = std::make_shared<const Projector>(of_projector);
  WeightReader of_policy(policy_weights(width, static_cast<std::int64_t>(encoder.ffn_width), random),
                         at::TensorOptions(at::kFloat), {""}, {}, nn::WeightLayout::kBlocked);
  parts->policy = std::make_shared<const ExpansionPolicy>(
      of_policy, PolicyOptions{.reads_projected = false, .question_aware = true, .heads = encoder.num_heads});
  parts_ = std::move(parts);
}

RandomModel::~RandomModel() = default;

std::shared_ptr<const ModelBundle> RandomModel::bundle(std::size_t chunk_size) const {
  auto parts = std::make_unique<ModelBundle::Parts>(*parts_);
  parts->chunk_size = chunk_size;
  parts->identities.chunks = sha256_hex(message(parts->name, ", k = ", chunk_size));
  return ModelBundle::Parts::assemble(std::move(parts));
}

std::string RandomModel::dtype() const { return name_of(parts_->options.dtype); }

std::size_t RandomModel::bytes_a_value() const {
  return c10::elementSize(c10::typeMetaToScalarType(parts_->decoder->options().dtype()));
}

std::size_t RandomModel::bytes_a_weight() const { return parts_->options.dtype == Dtype::kInt8 ? 1 : bytes_a_value(); }

std::size_t RandomModel::threads() const { return parts_->options.threads; }

}  // namespace refrag::bench

#include "train/start_bundle.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <map>
#include <set>
#include <string>

#include "base/files.h"
#include "base/message.h"
#include "model/bundle_layout.h"
#include "model/checkpoint.h"
#include "model/safetensors.h"
#include "refrag/error.h"
#include "text/tokenizer.h"

namespace refrag::train {
namespace {

namespace fs = std::filesystem;

constexpr double kEmbeddingDeviation = 0.04;

[[noreturn]] void refuse_start(const std::string& field, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, message(field, " ", why), field);
}

bool belongs_to_model(const fs::path& file) {
  const std::string name = file.extension().string();
  return name == ".json" || name == ".safetensors" || name == ".model" || name == ".txt" || name == ".jinja" ||
         name == ".vocab";
}

bool is_tokenizer_file(const fs::path& file) {
  const std::string name = file.filename().string();
  return name.starts_with("tokenizer") || name == "special_tokens_map.json" || name == "added_tokens.json" ||
         name.starts_with("chat_template") || name == "vocab.txt" || name == "vocab.json" || name == "merges.txt";
}

template <typename Wanted>
void copy_files(const fs::path& from, const fs::path& to, const Wanted& wanted) {
  if (!fs::is_directory(from)) throw Error(ErrorCode::kNotFound, message(from.string(), ": no such directory"));
  fs::create_directories(to);
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(from)) {
    if (!entry.is_regular_file() || !wanted(entry.path())) continue;
    const fs::path place = to / fs::relative(entry.path(), from);
    fs::create_directories(place.parent_path());  // a retriever has its pooling in a folder
    fs::copy_file(entry.path(), place);
  }
}

/// Random weights under their checkpoint names. A matrix keeps the size of what it maps: its deviation is 1/√inputs.
class RandomWeights {
 public:
  explicit RandomWeights(std::uint64_t seed) : generator_(at::detail::createCPUGenerator(seed)) {}

  void normal(const std::string& name, at::IntArrayRef shape, double deviation) {
    tensors[name] = at::randn(shape, generator_) * deviation;
  }
  void matrix(const std::string& name, std::int64_t outputs, std::int64_t inputs, double gain = 1) {
    normal(name, {outputs, inputs}, gain / std::sqrt(static_cast<double>(inputs)));
  }
  void linear(const std::string& name, std::int64_t outputs, std::int64_t inputs, double gain = 1) {
    matrix(name + ".weight", outputs, inputs, gain);
    tensors[name + ".bias"] = at::zeros({outputs});
  }
  void rms_norm(const std::string& name, std::int64_t width) { tensors[name + ".weight"] = at::ones({width}); }
  void layer_norm(const std::string& name, std::int64_t width) {
    rms_norm(name, width);
    tensors[name + ".bias"] = at::zeros({width});
  }
  void bert_layer(const std::string& prefix, std::int64_t width, std::int64_t ffn_width) {
    constexpr double kGain = 0.7;  // post-LN trains more quietly from smaller weights
    for (const char* name : {"query", "key", "value"}) linear(prefix + "attention.self." + name, width, width, kGain);
    linear(prefix + "attention.output.dense", width, width, kGain);
    layer_norm(prefix + "attention.output.LayerNorm", width);
    linear(prefix + "intermediate.dense", ffn_width, width, kGain);
    linear(prefix + "output.dense", width, ffn_width, kGain);
    layer_norm(prefix + "output.LayerNorm", width);
  }

  /// [n, n]: its rows are perpendicular, of length 1.
  at::Tensor orthogonal(std::int64_t n) { return std::get<0>(at::linalg_qr(at::randn({n, n}, generator_))); }
  /// [n], of length 1.
  at::Tensor direction(std::int64_t n) {
    const at::Tensor any = at::randn({n}, generator_);
    return any / any.norm();
  }

  std::map<std::string, at::Tensor> tensors;

 private:
  at::Generator generator_;
};

double size_of(const at::Tensor& x) { return std::sqrt(x.square().mean().item<double>()); }

/// Encoder weights that say from the start what a chunk says: head n of the first layer lets BOS look at token n, and
/// copies that token's embedding, the decoder's, cut to its width, to its own slot of the vector. All of it trains.
/// Not the paper's, whose RoBERTa is pretrained; what it is worth is in docs/training.md.
void begin_with_slots(RandomWeights& weights, const StartConfig::NewEncoder& shape, TokenId pad,
                      const at::Tensor& embeddings) {
  constexpr double kSharpness = 8;  // of attention, in nats: most of it goes to one token
  constexpr double kQuiet = 0.2;    // the layers above begin by passing on
  const std::int64_t head_width = shape.width / shape.heads;
  const auto width = static_cast<double>(shape.width);
  auto& tensors = weights.tensors;
  tensors["embeddings.word_embeddings.weight"] = embeddings * (kEmbeddingDeviation / size_of(embeddings));
  at::Tensor& positions = tensors["embeddings.position_embeddings.weight"];
  const at::Tensor places = weights.orthogonal(shape.width).narrow(0, 0, positions.size(0));
  positions = places * (kEmbeddingDeviation * std::sqrt(width));  // as long as random ones
  // Behind the LayerNorm a position's direction has half of the square of the length, the token's embedding the rest.
  const double gain = std::sqrt(kSharpness * std::sqrt(static_cast<double>(head_width)) / (width / 2));
  const std::string attention = "encoder.layer.0.attention.";
  at::Tensor query = tensors[attention + "self.query.weight"].mul_(0.1).view({shape.heads, head_width, shape.width});
  at::Tensor key = tensors[attention + "self.key.weight"].mul_(0.1).view({shape.heads, head_width, shape.width});
  for (std::int64_t n = 0; n < shape.heads; ++n) {
    const at::Tensor met = gain * weights.direction(head_width);
    query[n].add_(at::outer(met, places[pad + 1]));    // BOS
    key[n].add_(at::outer(met, places[pad + 2 + n]));  // token n
  }
  const at::Tensor slots = weights.orthogonal(shape.width);
  tensors[attention + "self.value.weight"] = slots;
  tensors[attention + "output.dense.weight"] = slots.t().contiguous();
  for (std::int64_t n = 0; n < shape.layers; ++n) {
    const std::string layer = message("encoder.layer.", n, ".");
    tensors[layer + "output.dense.weight"].mul_(kQuiet);
    if (n > 0) tensors[layer + "attention.output.dense.weight"].mul_(kQuiet);
  }
}

class StartBundle {
 public:
  StartBundle(const TrainConfig& config, const fs::path& root)
      : start_(config.start), seed_(config.run.seed), root_(root) {}

  void make() {
    copy_what_is_there();
    if (start_.new_decoder) make_decoder();
    if (!start_.encoder.empty() || start_.new_encoder) make_encoder();
    if (start_.new_policy) make_policy();
    if (!start_.retriever.empty() || start_.new_retriever) make_retriever();
    for (const auto& [name, value] : start_.spec.items()) spec_[name] = value;
    write_file_atomic(root_ / "refrag.json", spec_.dump(1) + "\n");
    read_bundle_spec(root_ / "refrag.json");  // a wrong start.prompt is told now
  }

 private:
  void copy_what_is_there() {
    spec_ = {{"format_version", kBundleFormatVersion}, {"name", "untitled"}};
    if (start_.bundle.empty()) {
      if (start_.new_decoder) {
        copy_files(start_.tokenizer, root_ / "decoder", is_tokenizer_file);
      } else {
        copy_files(start_.decoder, root_ / "decoder", belongs_to_model);
      }
      return;
    }
    const BundleLayout layout = BundleLayout::find(start_.bundle);
    copy_files(layout.decoder(), root_ / "decoder", belongs_to_model);
    if (layout.is_plain()) {
      spec_["name"] = layout.read_spec().name;
      return;
    }
    spec_ = parse_json_file(layout.spec());
    read_bundle_spec(layout.spec());
    for (const fs::path& part : {layout.encoder(), layout.retriever(), layout.reranker()}) {
      if (fs::exists(part)) copy_files(part, root_ / part.filename(), belongs_to_model);
    }
    for (const fs::path& part : {layout.projector(), layout.policy()}) {
      if (fs::exists(part)) fs::copy_file(part, root_ / part.filename());
    }
    spec_.erase("evaluation");  // of other weights
  }

  std::shared_ptr<const Tokenizer> tokenizer() const { return Tokenizer::load(root_ / "decoder"); }

  void make_decoder() {
    const StartConfig::NewDecoder& shape = *start_.new_decoder;
    const auto tokens = tokenizer();
    const auto vocab = static_cast<std::int64_t>(tokens->vocab_size());
    const std::int64_t head_width = shape.width / shape.heads;
    Json config = {{"architectures", {"LlamaForCausalLM"}},
                   {"model_type", "llama"},
                   {"vocab_size", vocab},
                   {"hidden_size", shape.width},
                   {"intermediate_size", shape.ffn_width},
                   {"num_hidden_layers", shape.layers},
                   {"num_attention_heads", shape.heads},
                   {"num_key_value_heads", shape.kv_heads},
                   {"head_dim", head_width},
                   {"hidden_act", "silu"},
                   {"max_position_embeddings", shape.positions},
                   {"rms_norm_eps", 1e-5},
                   {"rope_theta", 10000.0},
                   {"tie_word_embeddings", shape.tied_embeddings},
                   {"attention_bias", false},
                   {"mlp_bias", false},
                   {"torch_dtype", "float32"}};
    const auto eos = tokens->eos();
    if (!eos) refuse_start("start.tokenizer", "names no token that ends a text (EOS)");
    config["eos_token_id"] = *eos;
    if (const auto bos = tokens->bos()) config["bos_token_id"] = *bos;
    RandomWeights weights(seed_);
    const double residual = 1 / std::sqrt(2.0 * static_cast<double>(shape.layers));  // two additions a layer
    weights.normal("model.embed_tokens.weight", {vocab, shape.width}, kEmbeddingDeviation);
    for (std::int64_t n = 0; n < shape.layers; ++n) {
      const std::string prefix = message("model.layers.", n, ".");
      weights.matrix(prefix + "self_attn.q_proj.weight", shape.width, shape.width);
      weights.matrix(prefix + "self_attn.k_proj.weight", shape.kv_heads * head_width, shape.width);
      weights.matrix(prefix + "self_attn.v_proj.weight", shape.kv_heads * head_width, shape.width);
      weights.matrix(prefix + "self_attn.o_proj.weight", shape.width, shape.width, residual);
      weights.matrix(prefix + "mlp.gate_proj.weight", shape.ffn_width, shape.width);
      weights.matrix(prefix + "mlp.up_proj.weight", shape.ffn_width, shape.width);
      weights.matrix(prefix + "mlp.down_proj.weight", shape.width, shape.ffn_width, residual);
      weights.rms_norm(prefix + "input_layernorm", shape.width);
      weights.rms_norm(prefix + "post_attention_layernorm", shape.width);
    }
    weights.rms_norm("model.norm", shape.width);
    if (!shape.tied_embeddings) weights.normal("lm_head.weight", {vocab, shape.width}, kEmbeddingDeviation);
    write_file_atomic(root_ / "decoder" / "config.json", config.dump(1) + "\n");
    write_safetensors(root_ / "decoder" / "model.safetensors", weights.tensors);
  }

  void make_encoder() {
    if (spec_.contains("encoder")) refuse_start("start.encoder", "is there, and start.bundle has an encoder");
    spec_["chunk_size"] = start_.chunk_size;
    if (start_.new_encoder) {
      make_shared_encoder(*start_.new_encoder);
    } else {
      copy_files(start_.encoder, root_ / "encoder", belongs_to_model);
      spec_["encoder"] = {{"tokenizer", "own"}, {"pooling", "cls"}};
    }
    make_projector();
  }

  /// Reads the decoder's ids between BOS and nothing; the vector is that of BOS.
  void make_shared_encoder(const StartConfig::NewEncoder& shape) {
    const auto tokens = tokenizer();
    const auto bos = tokens->bos();
    const auto pad = tokens->pad() ? tokens->pad() : tokens->eos();  // a token that no chunk holds
    if (!pad) refuse_start("start.encoder", "needs a PAD or EOS token in the decoder's tokenizer");
    if (shape.slots) expect_slots_fit(shape, *pad);
    // RoBERTa counts positions from pad_id + 1.
    write_encoder(root_ / "encoder", shape, *pad + 1 + start_.chunk_size + 1, *pad, seed_ + 1);
    spec_["encoder"] = {{"tokenizer", "shared"}, {"pooling", bos ? "cls" : "mean"}};
    if (bos) spec_["encoder"]["start"] = tokens->token_of(*bos);
  }

  void expect_slots_fit(const StartConfig::NewEncoder& shape, TokenId pad) const {
    const std::string slots = "for start.encoder.slots";
    if (shape.heads != start_.chunk_size) {
      refuse_start("start.encoder.heads",
                   message("is ", shape.heads, "; expected chunk_size, ", start_.chunk_size, ", ", slots));
    }
    if (const std::int64_t width = read_width(root_ / "decoder"); shape.width != width) {
      refuse_start("start.encoder.width",
                   message("is ", shape.width, "; expected the decoder's, ", width, ", ", slots));
    }
    if (const std::int64_t positions = pad + 2 + start_.chunk_size; shape.width < positions) {
      refuse_start("start.encoder.width", message("is ", shape.width, "; expected ", positions, " or more ", slots));
    }
    if (!tokenizer()->bos()) refuse_start("start.encoder.slots", "needs a BOS token in the decoder's tokenizer");
  }

  void write_encoder(const fs::path& directory, const StartConfig::NewEncoder& shape, std::int64_t positions,
                     TokenId pad, std::uint64_t seed) const {
    const std::int64_t vocab = read_llama_vocab();
    const Json config = {{"architectures", {"RobertaModel"}},
                         {"model_type", "roberta"},
                         {"vocab_size", vocab},
                         {"hidden_size", shape.width},
                         {"intermediate_size", shape.ffn_width},
                         {"num_hidden_layers", shape.layers},
                         {"num_attention_heads", shape.heads},
                         {"hidden_act", "gelu"},
                         {"max_position_embeddings", positions},
                         {"type_vocab_size", 1},
                         {"layer_norm_eps", 1e-5},
                         {"pad_token_id", pad},
                         {"position_embedding_type", "absolute"},
                         {"torch_dtype", "float32"}};
    RandomWeights weights(seed);
    weights.normal("embeddings.word_embeddings.weight", {vocab, shape.width}, kEmbeddingDeviation);
    weights.normal("embeddings.position_embeddings.weight", {positions, shape.width}, kEmbeddingDeviation);
    weights.normal("embeddings.token_type_embeddings.weight", {1, shape.width}, kEmbeddingDeviation);
    weights.layer_norm("embeddings.LayerNorm", shape.width);
    for (std::int64_t n = 0; n < shape.layers; ++n) {
      weights.bert_layer(message("encoder.layer.", n, "."), shape.width, shape.ffn_width);
    }
    if (shape.slots) begin_with_slots(weights, shape, pad, decoder_embeddings());
    fs::create_directories(directory);
    write_file_atomic(directory / "config.json", config.dump(1) + "\n");
    write_safetensors(directory / "model.safetensors", weights.tensors);
  }

  at::Tensor decoder_embeddings() const {
    return Checkpoint::open(root_ / "decoder").tensor("model.embed_tokens.weight").to(at::kFloat);
  }

  /// Its vectors begin as large as the decoder's embeddings, which they stand among.
  void make_projector() {
    const std::int64_t inputs = read_width(root_ / "encoder");
    const std::int64_t outputs = read_width(root_ / "decoder");
    const double size = size_of(decoder_embeddings());
    RandomWeights weights(seed_ + 2);
    if (start_.new_encoder && start_.new_encoder->slots) {  // passes them on: gelu(x) - gelu(-x) = x
      weights.linear("fc1", 2 * inputs, inputs);
      weights.linear("fc2", outputs, 2 * inputs);
      const at::Tensor one = at::eye(inputs);
      weights.tensors["fc1.weight"] = at::cat({one, -one});
      weights.tensors["fc2.weight"] = size * at::cat({one, -one}, 1);
    } else {
      constexpr double kGeluSize = 0.65;  // root mean square of gelu(x) for a normal x
      const std::int64_t hidden = start_.projector_width > 0 ? start_.projector_width : outputs;
      weights.linear("fc1", hidden, inputs);
      weights.linear("fc2", outputs, hidden, size / kGeluSize);
    }
    write_safetensors(root_ / "projector.safetensors", weights.tensors);
  }

  void make_retriever() {
    if (fs::exists(root_ / "retriever")) refuse_start("start.retriever", "is there, and start.bundle has a retriever");
    if (!start_.new_retriever) {
      copy_files(start_.retriever, root_ / "retriever", belongs_to_model);
      return;
    }
    const StartConfig::NewRetriever& shape = *start_.new_retriever;
    const auto pad = tokenizer()->pad();
    if (!pad) refuse_start("start.retriever", "needs a PAD token in the decoder's tokenizer");
    copy_files(root_ / "decoder", root_ / "retriever", is_tokenizer_file);
    write_encoder(root_ / "retriever", {shape.width, shape.layers, shape.heads, shape.ffn_width},
                  shape.positions + *pad + 1, *pad, seed_ + 5);
  }

  void make_policy() {
    if (!spec_.contains("encoder")) refuse_start("start.policy", "needs an encoder, and start has none");
    if (spec_.contains("policy")) refuse_start("start.policy", "is there, and start.bundle has a policy");
    const StartConfig::NewPolicy& shape = *start_.new_policy;
    const std::int64_t width = read_width(root_ / (shape.reads_projected ? "decoder" : "encoder"));
    if (width % shape.heads != 0) {
      refuse_start("start.policy.heads", message("is ", shape.heads, "; expected a divisor of ", width));
    }
    RandomWeights weights(seed_ + 3);
    weights.normal("type_embeddings.weight", {2, width}, kEmbeddingDeviation);
    weights.normal("position_embeddings.weight", {shape.positions, width}, kEmbeddingDeviation);
    weights.layer_norm("LayerNorm", width);
    for (int n = 0; n < 2; ++n) weights.bert_layer(message("layer.", n, "."), width, shape.ffn_width);
    weights.linear("head", 1, width, 0.1);  // all chunks begin about alike
    write_safetensors(root_ / "policy.safetensors", weights.tensors);
    spec_["policy"] = {{"input", shape.reads_projected ? "projected" : "encoder"},
                       {"question_aware", shape.question_aware},
                       {"heads", shape.heads}};
  }

  std::int64_t read_integer(const fs::path& part, const char* name) const {
    const Json config = parse_json_file(part / "config.json");
    JsonReader json(config, (part / "config.json").string() + ": ", ErrorCode::kCorrupt);
    return json.integer(name, 1, 1 << 24);
  }
  std::int64_t read_width(const fs::path& part) const { return read_integer(part, "hidden_size"); }
  std::int64_t read_llama_vocab() const { return read_integer(root_ / "decoder", "vocab_size"); }

  const StartConfig& start_;
  std::uint64_t seed_;
  fs::path root_;
  Json spec_;
};

}  // namespace

void make_start_bundle(const TrainConfig& config, const fs::path& directory) {
  const fs::path unfinished = directory.string() + ".tmp";
  fs::remove_all(unfinished);
  fs::create_directories(unfinished);
  StartBundle(config, unfinished).make();
  fs::remove_all(directory);
  fs::rename(unfinished, directory);
  sync_directory(directory.parent_path());
}

}  // namespace refrag::train

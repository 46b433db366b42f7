#include "model/llama_config.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/message.h"

namespace refrag {
namespace {

// Far beyond any published model; small enough that no product of two of them overflows.
constexpr std::int64_t kMaxVocab = 1 << 24;
constexpr std::int64_t kMaxWidth = 1 << 20;
constexpr std::int64_t kMaxLayers = 1 << 12;
constexpr std::int64_t kMaxHeads = 1 << 14;
constexpr std::int64_t kMaxHeadDim = 1 << 14;
constexpr std::int64_t kMaxPositions = 1 << 28;
constexpr double kMaxFactor = 1e9;

[[noreturn]] void refuse(const std::string& file, const std::string& field, const std::string& found,
                         const std::string& expected) {
  throw Error(ErrorCode::kUnsupported, message(file, ": ", field, " is ", found, "; supported: ", expected));
}

void check_architecture(JsonReader& json, const std::string& file) {
  const std::vector<std::string> architectures = json.texts("architectures");
  const std::string model_type = json.text("model_type", "llama");
  for (const std::string& architecture : architectures) {
    if (architecture != "LlamaForCausalLM") {
      refuse(file, "architectures", Json(architecture).dump(), "LlamaForCausalLM");
    }
  }
  if (model_type != "llama") {
    refuse(file, "model_type", Json(model_type).dump(), "llama");
  }
  if (architectures.empty() && !json.has("model_type")) {
    json.fail("architectures", "[\"LlamaForCausalLM\"]");
  }
}

/// Options that relatives of LLaMA put into config.json and that change what is computed, each with the value that
/// changes nothing. Null and absence change nothing either.
const std::vector<std::pair<const char*, Json>>& neutral_values() {
  static const std::vector<std::pair<const char*, Json>> values = {
      {"quantization_config", nullptr},
      {"pretraining_tp", 1},
      {"partial_rotary_factor", 1},
      {"rope_interleaved", false},
      {"no_rope_layers", nullptr},
      {"alibi", false},
      {"use_sliding_window", false},
      {"use_bidirectional_attention", false},
      {"attention_multiplier", nullptr},
      {"query_pre_attn_scalar", nullptr},
      {"attn_logit_softcapping", nullptr},
      {"final_logit_softcapping", nullptr},
      {"clip_qkv", nullptr},
      {"use_qk_norm", false},
      {"qk_layernorm", false},
      {"embedding_multiplier", 1},
      {"residual_multiplier", 1},
      {"logits_scaling", 1},
      {"logit_scale", 1},
      {"num_experts", nullptr},
      {"num_local_experts", nullptr},
      {"is_encoder_decoder", false},
      {"add_cross_attention", false},
  };
  return values;
}

void refuse_other_options(JsonReader& json, const std::string& file) {
  for (const auto& [name, neutral] : neutral_values()) {
    const Json& found = json.value(name);
    if (!found.is_null() && found != neutral) {
      refuse(file, name, found.is_structured() ? "set" : found.dump(), neutral.is_null() ? "none" : neutral.dump());
    }
  }
  // A window that an explicit switch turns off is not in use.
  const bool switched_off = json.has("use_sliding_window");
  if (json.has("sliding_window") && !switched_off) {
    refuse(file, "sliding_window", json.value("sliding_window").dump(), "none");
  }
  for (const std::string& type : json.texts("layer_types")) {
    if (type != "full_attention") {
      refuse(file, "layer_types", Json(type).dump(), "full_attention");
    }
  }
  const std::string activation = json.text("hidden_act", "silu");
  if (activation != "silu" && activation != "swish") {  // two names of one function
    refuse(file, "hidden_act", Json(activation).dump(), "silu");
  }
}

nn::RotaryKind read_rotary_kind(JsonReader& rope, const std::string& file) {
  const std::string old_name = rope.text("type", "default");
  const std::string kind = rope.text("rope_type", old_name);
  if (kind == "default") {
    return nn::RotaryKind::kDefault;
  }
  if (kind == "linear") {
    return nn::RotaryKind::kLinear;
  }
  if (kind == "llama3") {
    return nn::RotaryKind::kLlama3;
  }
  refuse(file, "rope_type", Json(kind).dump(), "default, linear, llama3");
}

/// Newer files: rope_parameters with rope_theta inside; older ones: rope_theta beside rope_scaling.
nn::RotaryConfig read_rotary(JsonReader& json, const std::string& file, std::int64_t head_dim) {
  if (json.has("rope_parameters") && json.has("rope_scaling") &&
      json.value("rope_parameters") != json.value("rope_scaling")) {
    json.fail("rope_scaling", "the same as rope_parameters where both are given");
  }
  JsonReader rope = json.object(json.has("rope_parameters") ? "rope_parameters" : "rope_scaling");
  nn::RotaryConfig rotary;
  rotary.head_dim = head_dim;
  const double outer_theta = json.number("rope_theta", 10000.0, 1.0, 1e18);
  rotary.theta = rope.number("rope_theta", outer_theta, 1.0, 1e18);
  rotary.kind = read_rotary_kind(rope, file);
  if (rotary.kind == nn::RotaryKind::kDefault) {
    rope.ignore("factor");  // transformers does not read it then
  } else {
    rotary.factor = rope.number("factor", 1.0, kMaxFactor);
  }
  if (rotary.kind == nn::RotaryKind::kLlama3) {
    rotary.low_freq_factor = rope.number("low_freq_factor", 1e-6, kMaxFactor);
    rotary.high_freq_factor = rope.number("high_freq_factor", 1e-6, kMaxFactor);
    if (rotary.high_freq_factor <= rotary.low_freq_factor) {
      rope.fail("high_freq_factor", message("more than low_freq_factor, ", rotary.low_freq_factor));
    }
    rotary.original_positions =
        rope.number("original_max_position_embeddings", 1.0, static_cast<double>(kMaxPositions));
  }
  rope.ignore("original_max_position_embeddings");
  for (const char* name : {"attention_factor", "partial_rotary_factor"}) {
    if (const double value = rope.number(name, 1.0, 0.0, kMaxFactor); value != 1.0) {
      refuse(file, rope.path_of(name).substr(file.size() + 2), message(value), "1");
    }
  }
  rope.finish();  // what other kinds of scaling add would change the result
  return rotary;
}

std::vector<TokenId> read_eos_ids(JsonReader& json, std::int64_t vocab_size) {
  const Json& value = json.value("eos_token_id");
  std::vector<TokenId> ids;
  for (const Json& id : value.is_array() ? value : Json::array({value})) {
    if (id.is_null()) {
      continue;
    }
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() >= vocab_size) {
      json.fail("eos_token_id", message("a token id below ", vocab_size, " or a list of them"));
    }
    ids.push_back(id.get<TokenId>());
  }
  return ids;
}

}  // namespace

LlamaConfig parse_llama_config(const Json& value, const Json& generation_config, const std::string& file) {
  JsonReader json(value, file + ": ", ErrorCode::kCorrupt);
  check_architecture(json, file);
  refuse_other_options(json, file);
  LlamaConfig config;
  config.vocab_size = json.integer("vocab_size", 1, kMaxVocab);
  config.width = json.integer("hidden_size", 1, kMaxWidth);
  config.ffn_width = json.integer("intermediate_size", 1, kMaxWidth);
  config.num_layers = json.integer("num_hidden_layers", 1, kMaxLayers);
  config.num_heads = json.integer("num_attention_heads", 1, kMaxHeads);
  config.num_kv_heads = json.integer("num_key_value_heads", config.num_heads, 1, kMaxHeads);
  if (config.num_heads % config.num_kv_heads != 0) {
    json.fail("num_key_value_heads", message("a divisor of num_attention_heads, ", config.num_heads));
  }
  if (!json.has("head_dim") && config.width % config.num_heads != 0) {
    json.fail("num_attention_heads", message("a divisor of hidden_size, ", config.width));
  }
  config.head_dim = json.integer("head_dim", config.width / config.num_heads, 1, kMaxHeadDim);
  if (config.head_dim % 2 != 0) {
    json.fail("head_dim", message("an even number (hidden_size / num_attention_heads is ", config.head_dim, ")"));
  }
  config.max_positions = json.integer("max_position_embeddings", 2048, 1, kMaxPositions);
  config.norm_eps = json.number("rms_norm_eps", 1e-6, 0.0, 1.0);
  config.tied_embeddings = json.boolean("tie_word_embeddings", false);
  config.attention_bias = json.boolean("attention_bias", false);
  config.mlp_bias = json.boolean("mlp_bias", false);
  config.rotary = read_rotary(json, file, config.head_dim);
  config.eos_ids = read_eos_ids(json, config.vocab_size);
  if (!generation_config.is_null()) {
    JsonReader generation(generation_config, "generation_config.json: ", ErrorCode::kCorrupt);
    const std::vector<TokenId> ids = read_eos_ids(generation, config.vocab_size);
    if (!ids.empty()) {
      config.eos_ids = ids;  // what transformers' generate() stops at
    }
  }
  return config;
}

LlamaConfig read_llama_config(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / "config.json";
  const std::filesystem::path generation = directory / "generation_config.json";
  return parse_llama_config(parse_json_file(file),
                            std::filesystem::exists(generation) ? parse_json_file(generation) : Json(), file.string());
}

}  // namespace refrag

#include "model/encoder_config.h"

#include <optional>

#include "base/message.h"

namespace refrag {
namespace {

constexpr std::int64_t kMaxVocab = 1 << 24;
constexpr std::int64_t kMaxWidth = 1 << 16;
constexpr std::int64_t kMaxLayers = 1 << 10;
constexpr std::int64_t kMaxPositions = 1 << 20;

// RoBERTa's later kin differ in nothing that an encoder computes.
bool is_roberta(const std::string& model_type) {
  return model_type == "roberta" || model_type == "xlm-roberta" || model_type == "camembert";
}

// The first BERT checkpoints have no model_type.
std::string type_of_architecture(const std::string& architecture) {
  for (const auto& [prefix, type] :
       {std::pair{"Bert", "bert"}, std::pair{"Roberta", "roberta"}, std::pair{"XLMRoberta", "xlm-roberta"}}) {
    if (architecture.starts_with(prefix)) {
      return type;
    }
  }
  return "";
}

EncoderConfig::Activation read_activation(JsonReader& json, const std::string& file) {
  const std::string word = json.text("hidden_act", "gelu");
  if (word == "gelu") {
    return EncoderConfig::Activation::kGelu;
  }
  if (word == "gelu_new" || word == "gelu_pytorch_tanh") {
    return EncoderConfig::Activation::kGeluTanh;
  }
  if (word == "relu") {
    return EncoderConfig::Activation::kRelu;
  }
  throw Error(ErrorCode::kUnsupported,
              message(file, ": hidden_act is \"", word, "\"; expected gelu, gelu_new, gelu_pytorch_tanh or relu"));
}

// Options that would change the result and that nothing here computes.
void refuse_unknown_options(JsonReader& json, const std::string& file) {
  const std::string positions = json.text("position_embedding_type", "absolute");
  if (positions != "absolute") {
    throw Error(ErrorCode::kUnsupported,
                message(file, ": position_embedding_type is \"", positions, "\"; only absolute is supported"));
  }
  for (const char* name : {"is_decoder", "add_cross_attention"}) {
    if (json.boolean(name, false)) {
      throw Error(ErrorCode::kUnsupported, message(file, ": ", name, " is true; only encoders are supported"));
    }
  }
  if (json.has("quantization_config")) {
    throw Error(ErrorCode::kUnsupported, message(file,
                                                 ": quantization_config is set; only F32, F16 and BF16 weights "
                                                 "are supported"));
  }
}

std::size_t read_size(JsonReader& json, const char* name, std::int64_t most) {
  return static_cast<std::size_t>(json.integer(name, 1, most));
}

}  // namespace

const char* name_of(Pooling pooling) { return pooling == Pooling::kCls ? "cls" : "mean"; }

const char* name_of(EncoderConfig::Activation activation) {
  switch (activation) {
    case EncoderConfig::Activation::kGelu:
      return "gelu";
    case EncoderConfig::Activation::kGeluTanh:
      return "gelu_tanh";
    case EncoderConfig::Activation::kRelu:
      return "relu";
  }
  return "";
}

std::size_t EncoderConfig::longest_input() const {
  return positions_after_pad ? position_rows - static_cast<std::size_t>(pad_id) - 1 : position_rows;
}

Json EncoderConfig::describe() const {
  return {{"heads", num_heads},
          {"norm_eps", norm_eps},
          {"activation", name_of(activation)},
          {"first_position", positions_after_pad ? pad_id + 1 : 0}};
}

EncoderConfig parse_encoder_config(const Json& value, const std::string& file) {
  JsonReader json(value, file + ": ", ErrorCode::kCorrupt);
  EncoderConfig config;
  const std::vector<std::string> architectures = json.texts("architectures");
  const std::string architecture = architectures.empty() ? "" : architectures.front();
  config.model_type = json.text("model_type", type_of_architecture(architecture));
  config.architecture = architecture.empty() ? config.model_type : architecture;
  if (config.model_type != "bert" && !is_roberta(config.model_type)) {
    throw Error(ErrorCode::kUnsupported,
                message(file, ": model_type is \"", config.model_type, "\" (", config.architecture,
                        "); expected bert, roberta, xlm-roberta or camembert"));
  }
  refuse_unknown_options(json, file);

  config.vocab_size = read_size(json, "vocab_size", kMaxVocab);
  config.width = read_size(json, "hidden_size", kMaxWidth);
  config.num_layers = read_size(json, "num_hidden_layers", kMaxLayers);
  config.num_heads = read_size(json, "num_attention_heads", kMaxWidth);
  config.ffn_width = read_size(json, "intermediate_size", kMaxWidth * 8);
  config.position_rows = read_size(json, "max_position_embeddings", kMaxPositions);
  config.num_types = static_cast<std::size_t>(json.integer("type_vocab_size", 2, 1, 1 << 10));
  config.norm_eps = json.number("layer_norm_eps", 1e-12, 0, 1);
  config.activation = read_activation(json, file);
  config.positions_after_pad = is_roberta(config.model_type);
  config.pad_id = static_cast<TokenId>(json.integer("pad_token_id", config.positions_after_pad ? 1 : 0, 0, kMaxVocab));
  if (static_cast<std::size_t>(config.pad_id) >= config.vocab_size) {
    json.fail("pad_token_id", message("a token id below vocab_size, ", config.vocab_size));
  }
  if (config.width % config.num_heads != 0) {
    json.fail("num_attention_heads", message("a divisor of hidden_size, ", config.width));
  }
  if (config.positions_after_pad && config.position_rows <= static_cast<std::size_t>(config.pad_id) + 1) {
    json.fail("max_position_embeddings", message("more than pad_token_id + 1, ", config.pad_id + 1));
  }
  return config;
}

EncoderConfig read_encoder_config(const std::filesystem::path& file) {
  return parse_encoder_config(parse_json_file(file), file.string());
}

}  // namespace refrag

#include "model/encoder_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/tiny_models.h"

namespace refrag {
namespace {

using ::testing::HasSubstr;

// What parse_encoder_config says of `config`; empty where it takes it.
std::string refusal(const Json& config, ErrorCode code) {
  try {
    parse_encoder_config(config, "config.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "";
}

Json config_with(const char* name, const Json& value) {
  Json config = testing::tiny_encoder().config;
  config[name] = value;
  return config;
}

TEST(EncoderConfig, CountsRobertasPositionsFromBehindThePadId) {
  const EncoderConfig roberta = parse_encoder_config(testing::tiny_encoder("roberta").config, "config.json");
  const EncoderConfig bert = parse_encoder_config(testing::tiny_encoder("bert").config, "config.json");

  EXPECT_EQ(roberta.longest_input(), roberta.position_rows - 2);
  EXPECT_EQ(bert.longest_input(), bert.position_rows);
}

TEST(EncoderConfig, FillsInWhatOldFilesLeaveOut) {
  Json json = testing::tiny_encoder("bert").config;
  for (const char* name : {"layer_norm_eps", "hidden_act", "pad_token_id", "type_vocab_size", "model_type"}) {
    json.erase(name);
  }
  const EncoderConfig config = parse_encoder_config(json, "config.json");

  EXPECT_EQ(config.model_type, "bert");  // from architectures
  EXPECT_EQ(config.norm_eps, 1e-12);
  EXPECT_EQ(config.activation, EncoderConfig::Activation::kGelu);
  EXPECT_EQ(config.pad_id, 0);
  EXPECT_EQ(config.num_types, 2U);
}

TEST(EncoderConfig, RefusesByNameWhatItCannotCompute) {
  const ErrorCode code = ErrorCode::kUnsupported;
  EXPECT_THAT(refusal(config_with("model_type", "deberta-v2"), code), HasSubstr("deberta-v2"));
  EXPECT_THAT(refusal(config_with("hidden_act", "silu"), code), HasSubstr("hidden_act is \"silu\""));
  EXPECT_THAT(refusal(config_with("position_embedding_type", "relative_key"), code), HasSubstr("relative_key"));
  EXPECT_THAT(refusal(config_with("is_decoder", true), code), HasSubstr("is_decoder"));
  EXPECT_THAT(refusal(config_with("add_cross_attention", true), code), HasSubstr("add_cross_attention"));
  EXPECT_THAT(refusal(config_with("quantization_config", Json::object({{"bits", 4}})), code),
              HasSubstr("quantization_config"));
}

TEST(EncoderConfig, RefusesValuesThatMakeNoSense) {
  const ErrorCode code = ErrorCode::kCorrupt;
  EXPECT_THAT(refusal(config_with("num_attention_heads", 3), code), HasSubstr("num_attention_heads is 3"));
  EXPECT_THAT(refusal(config_with("hidden_size", -1), code), HasSubstr("hidden_size is -1"));
  EXPECT_THAT(refusal(config_with("hidden_size", "wide"), code), HasSubstr("hidden_size is \"wide\""));
  EXPECT_THAT(refusal(config_with("num_hidden_layers", 1e12), code), HasSubstr("num_hidden_layers"));
  EXPECT_THAT(refusal(Json::array(), code), HasSubstr("config.json"));
  EXPECT_THAT(refusal(config_with("pad_token_id", 50), code),
              HasSubstr("config.json: pad_token_id is 50; expected a token id below vocab_size, 50"));

  Json roberta = testing::tiny_encoder("roberta").config;
  roberta["pad_token_id"] = 30;  // past the position table
  EXPECT_THAT(refusal(roberta, code), HasSubstr("max_position_embeddings is 20"));
}

}  // namespace
}  // namespace refrag

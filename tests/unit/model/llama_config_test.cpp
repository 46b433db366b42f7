#include "model/llama_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/errors.h"

namespace refrag {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

/// What every published config.json has, and nothing else.
Json least_config() {
  return {{"architectures", {"LlamaForCausalLM"}},
          {"vocab_size", 100},
          {"hidden_size", 64},
          {"intermediate_size", 96},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4}};
}

LlamaConfig parse(const Json& config, const Json& generation_config = {}) {
  return parse_llama_config(config, generation_config, "config.json");
}

Json with(const std::string& name, const Json& value) {
  Json config = least_config();
  config[name] = value;
  return config;
}

TEST(LlamaConfigTest, TakesTransformersDefaults) {
  const LlamaConfig config = parse(least_config());

  EXPECT_EQ(config.num_kv_heads, 4);
  EXPECT_EQ(config.head_dim, 16);
  EXPECT_EQ(config.max_positions, 2048);
  EXPECT_EQ(config.norm_eps, 1e-6);
  EXPECT_FALSE(config.tied_embeddings);
  EXPECT_FALSE(config.attention_bias);
  EXPECT_FALSE(config.mlp_bias);
  EXPECT_EQ(config.rotary.kind, nn::RotaryKind::kDefault);
  EXPECT_EQ(config.rotary.theta, 10000.0);
  EXPECT_TRUE(config.eos_ids.empty());
}

TEST(LlamaConfigTest, ReadsRopeOfBothStyles) {
  Json older = with("rope_scaling", {{"type", "linear"}, {"factor", 2.0}});
  older["rope_theta"] = 500.0;
  const Json newer = with("rope_parameters", {{"rope_type", "linear"}, {"factor", 2.0}, {"rope_theta", 500.0}});

  for (const Json& json : {older, newer}) {
    const nn::RotaryConfig rotary = parse(json).rotary;
    EXPECT_EQ(rotary.kind, nn::RotaryKind::kLinear);
    EXPECT_EQ(rotary.factor, 2.0);
    EXPECT_EQ(rotary.theta, 500.0);
    EXPECT_EQ(rotary.head_dim, 16);
  }
}

TEST(LlamaConfigTest, ReadsLlama3Scaling) {
  const nn::RotaryConfig rotary = parse(with("rope_scaling", {{"rope_type", "llama3"},
                                                              {"factor", 8.0},
                                                              {"low_freq_factor", 1.0},
                                                              {"high_freq_factor", 4.0},
                                                              {"original_max_position_embeddings", 8192}}))
                                      .rotary;

  EXPECT_EQ(rotary.kind, nn::RotaryKind::kLlama3);
  EXPECT_EQ(rotary.original_positions, 8192.0);
}

TEST(LlamaConfigTest, TakesEosIdsFromTheGenerationConfigWhereItHasThem) {
  const Json config = with("eos_token_id", 7);

  EXPECT_EQ(parse(config).eos_ids, (std::vector<TokenId>{7}));
  EXPECT_EQ(parse(config, {{"eos_token_id", {7, 9}}}).eos_ids, (std::vector<TokenId>{7, 9}));
  EXPECT_EQ(parse(config, {{"eos_token_id", nullptr}}).eos_ids, (std::vector<TokenId>{7}));
  EXPECT_EQ(parse(with("eos_token_id", {1, 2})).eos_ids, (std::vector<TokenId>{1, 2}));
}

TEST(LlamaConfigTest, AcceptsOptionsThatChangeNothing) {
  Json config = least_config();
  config.update({{"pretraining_tp", 1},
                 {"rope_interleaved", false},
                 {"sliding_window", nullptr},
                 {"hidden_act", "silu"},
                 {"quantization_config", nullptr},
                 {"layer_types", {"full_attention", "full_attention"}},
                 {"attention_dropout", 0.1},
                 {"head_dim", nullptr},
                 {"use_cache", true}});

  EXPECT_EQ(parse(config).head_dim, 16);
}

struct Option {
  const char* name;
  Json value;
  const char* named;
};

class LlamaConfigRefusalTest : public ::testing::TestWithParam<Option> {};

TEST_P(LlamaConfigRefusalTest, NamesWhatIsNotSupported) {
  const Error error = error_of([&] { parse(with(GetParam().name, GetParam().value)); });

  EXPECT_EQ(error.code(), ErrorCode::kUnsupported) << error.what();
  EXPECT_THAT(error.what(), HasSubstr("config.json"));
  EXPECT_THAT(error.what(), HasSubstr(GetParam().named));
}

INSTANTIATE_TEST_SUITE_P(
    Options, LlamaConfigRefusalTest,
    ::testing::Values(
        Option{"architectures", {"MistralForCausalLM"}, "MistralForCausalLM"}, Option{"model_type", "qwen2", "qwen2"},
        Option{"hidden_act", "gelu", "hidden_act"}, Option{"sliding_window", 4096, "sliding_window"},
        Option{"use_sliding_window", true, "use_sliding_window"},
        Option{"quantization_config", {{"bits", 4}}, "quantization_config"},
        Option{"pretraining_tp", 2, "pretraining_tp"}, Option{"num_local_experts", 8, "num_local_experts"},
        Option{"attn_logit_softcapping", 50.0, "attn_logit_softcapping"},
        Option{"attention_multiplier", 0.5, "attention_multiplier"},
        Option{"partial_rotary_factor", 0.5, "partial_rotary_factor"},
        Option{"layer_types", {"sliding_attention"}, "sliding_attention"},
        Option{"rope_scaling", {{"type", "yarn"}, {"factor", 4.0}}, "yarn"},
        Option{"rope_scaling", {{"rope_type", "dynamic"}, {"factor", 4.0}}, "dynamic"},
        Option{"rope_parameters", {{"rope_type", "longrope"}}, "longrope"},
        Option{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}, {"attention_factor", 0.7}}, "attention_factor"}));

class LlamaConfigCorruptTest : public ::testing::TestWithParam<Option> {};

TEST_P(LlamaConfigCorruptTest, NamesTheFieldThatMakesNoSense) {
  const Error error = error_of([&] { parse(with(GetParam().name, GetParam().value)); });

  EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << error.what();
  EXPECT_THAT(error.what(), HasSubstr(GetParam().named));
}

INSTANTIATE_TEST_SUITE_P(
    Fields, LlamaConfigCorruptTest,
    ::testing::Values(Option{"vocab_size", 0, "vocab_size"}, Option{"vocab_size", "many", "vocab_size"},
                      Option{"hidden_size", nullptr, "hidden_size"}, Option{"hidden_size", 1e30, "hidden_size"},
                      Option{"num_hidden_layers", -1, "num_hidden_layers"},
                      Option{"num_attention_heads", 3, "hidden_size"},
                      Option{"num_key_value_heads", 3, "num_key_value_heads"}, Option{"head_dim", 15, "head_dim"},
                      Option{"rms_norm_eps", -1.0, "rms_norm_eps"}, Option{"rope_theta", 0.0, "rope_theta"},
                      Option{"rope_scaling", {{"type", "linear"}}, "factor"},
                      Option{"rope_scaling", {{"type", "linear"}, {"factor", 0.0}}, "factor"},
                      Option{"rope_scaling", {{"type", "linear"}, {"factor", 2.0}, {"mscale", 1.0}}, "mscale"},
                      Option{"rope_scaling",
                             {{"type", "llama3"},
                              {"factor", 8.0},
                              {"low_freq_factor", 4.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 64}},
                             "high_freq_factor"},
                      Option{"eos_token_id", 100, "eos_token_id"}, Option{"eos_token_id", {1, "end"}, "eos_token_id"}));

}  // namespace
}  // namespace refrag

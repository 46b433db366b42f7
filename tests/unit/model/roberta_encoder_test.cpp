#include "model/roberta_encoder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/tiny_models.h"

namespace refrag {
namespace {

using ::testing::HasSubstr;
using testing::TinyModel;

const std::vector<EncoderInput> kRows = {{{5, 6, 7, 8}, {}}, {{9}, {}}, {{10, 11, 12, 13, 14, 15, 16}, {}}};

class RobertaEncoderTest : public ::testing::Test {
 protected:
  std::shared_ptr<const RobertaEncoder> load(const TinyModel& model, at::ScalarType dtype = at::kFloat,
                                             nn::WeightLayout layout = nn::WeightLayout::kPlain) {
    std::filesystem::remove_all(directory_.path() / "encoder");
    model.write(directory_.path() / "encoder");
    return RobertaEncoder::load(directory_.path() / "encoder", dtype, layout);
  }
  std::string refusal(const TinyModel& model) {
    try {
      load(model);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  TemporaryDirectory directory_;
};

TinyModel renamed(const TinyModel& model, const std::function<std::string(const std::string&)>& rename) {
  TinyModel other{model.config, {}};
  for (const auto& [name, tensor] : model.tensors) {
    other.tensors[rename(name)] = tensor;
  }
  return other;
}

void replace_ending(std::string& name, const std::string& ending, const std::string& by) {
  if (name.ends_with(ending)) {
    name.replace(name.size() - ending.size(), ending.size(), by);
  }
}

TEST_F(RobertaEncoderTest, ReadsGammaAndBetaOfOldCheckpoints) {
  const TinyModel model = testing::tiny_encoder();
  const TinyModel old = renamed(model, [](std::string name) {
    replace_ending(name, "LayerNorm.weight", "LayerNorm.gamma");
    replace_ending(name, "LayerNorm.bias", "LayerNorm.beta");
    return name;
  });
  const auto today = load(model);
  const auto then = load(old);

  EXPECT_TRUE(at::equal(today->embed(kRows, Pooling::kCls, false), then->embed(kRows, Pooling::kCls, false)));
  EXPECT_EQ(today->identity(), then->identity());
}

TEST_F(RobertaEncoderTest, FindsWeightsUnderAModelsPrefixAndPassesHeadsOver) {
  const TinyModel bare = testing::tiny_encoder("roberta");
  TinyModel with_head = renamed(bare, [](const std::string& name) { return "roberta." + name; });
  with_head.tensors["lm_head.bias"] = at::zeros({50});
  with_head.tensors["roberta.embeddings.position_ids"] = at::arange(20).unsqueeze(0);
  testing::add_linear(with_head, "roberta.pooler.dense", 16, 16);
  const auto one = load(bare);
  const auto other = load(with_head);

  EXPECT_TRUE(at::equal(one->embed(kRows, Pooling::kMean, true), other->embed(kRows, Pooling::kMean, true)));
  EXPECT_EQ(one->identity(), other->identity());
}

TEST_F(RobertaEncoderTest, GivesARowTheSameVectorAloneAndInABatch) {
  for (const char* type : {"bert", "roberta"}) {
    const auto encoder = load(testing::tiny_encoder(type));
    for (const Pooling pooling : {Pooling::kCls, Pooling::kMean}) {
      const at::Tensor together = encoder->embed(kRows, pooling, false);
      for (std::size_t n = 0; n < kRows.size(); ++n) {
        const at::Tensor alone = encoder->embed({kRows[n]}, pooling, false);
        EXPECT_TRUE(at::allclose(together[static_cast<std::int64_t>(n)], alone[0], 1e-5, 1e-5)) << type << " " << n;
      }
    }
  }
}

TEST_F(RobertaEncoderTest, WeightsInBlocksGiveTheVectorsOfPlainOnes) {
  if (!at::globalContext().hasMKLDNN()) GTEST_SKIP() << "libtorch is without oneDNN";
  for (const char* type : {"bert", "roberta"}) {
    const auto plain = load(testing::tiny_encoder(type));
    const auto blocked = load(testing::tiny_encoder(type), at::kFloat, nn::WeightLayout::kBlocked);
    EXPECT_TRUE(std::ranges::any_of(blocked->parameters(), [](const Parameter& one) { return !one.value.defined(); }))
        << "it kept its plain weights";
    for (const Pooling pooling : {Pooling::kCls, Pooling::kMean}) {
      const at::Tensor expected = plain->embed(kRows, pooling, false);
      EXPECT_TRUE(at::allclose(blocked->embed(kRows, pooling, false), expected, 1e-5, 1e-5)) << type;
    }
    EXPECT_EQ(blocked->identity(), plain->identity()) << "another layout is not another encoder";
  }
}

TEST_F(RobertaEncoderTest, GivesUnitVectorsWhereAskedTo) {
  const auto encoder = load(testing::tiny_encoder());

  EXPECT_TRUE(at::allclose(encoder->embed(kRows, Pooling::kMean, true).norm(2, 1), at::ones({3}), 1e-5, 1e-5));
  EXPECT_FALSE(at::allclose(encoder->embed(kRows, Pooling::kMean, false).norm(2, 1), at::ones({3}), 1e-5, 1e-5));
}

TEST_F(RobertaEncoderTest, TellsTokenTypesApart) {
  const auto encoder = load(testing::tiny_encoder());
  const std::vector<EncoderInput> typed = {{{5, 6, 7}, {0, 0, 1}}, {{5, 6, 7}, {}}, {{5, 6, 7}, {0, 0, 0}}};
  const at::Tensor vectors = encoder->embed(typed, Pooling::kCls, false);

  EXPECT_FALSE(at::allclose(vectors[0], vectors[1], 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(vectors[1], vectors[2], 1e-5, 1e-5));
}

TEST_F(RobertaEncoderTest, EmbedsNothingAsNoRows) {
  EXPECT_EQ(load(testing::tiny_encoder())->embed({}, Pooling::kCls, true).sizes(), (std::vector<std::int64_t>{0, 16}));
}

TEST_F(RobertaEncoderTest, RefusesInputsThatTheTablesDoNotHold) {
  const auto encoder = load(testing::tiny_encoder("roberta"));
  const auto refused = [&](const EncoderInput& input) -> std::string {
    try {
      encoder->embed({{{5}, {}}, input}, Pooling::kCls, false);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(refused({{}, {}}), HasSubstr("input 1 of the encoder has 0 tokens; expected 1 to 18"));
  EXPECT_THAT(refused({std::vector<TokenId>(19, 5), {}}), HasSubstr("has 19 tokens; expected 1 to 18"));
  EXPECT_THAT(refused({{50}, {}}), HasSubstr("token id 50; expected 0 to 49"));
  EXPECT_THAT(refused({{-1}, {}}), HasSubstr("token id -1"));
  EXPECT_THAT(refused({{5}, {1}}), HasSubstr("token type 1; expected 0 to 0"));
  EXPECT_EQ(refused({std::vector<TokenId>(18, 5), {}}), "");
}

TEST_F(RobertaEncoderTest, NamesTheTensorThatIsMissingOrOfAnotherShape) {
  TinyModel missing = testing::tiny_encoder();
  missing.tensors.erase("encoder.layer.1.output.dense.bias");
  TinyModel narrow = testing::tiny_encoder();
  narrow.tensors["encoder.layer.0.attention.self.key.weight"] = at::zeros({16, 15});

  EXPECT_THAT(refusal(missing), HasSubstr("encoder.layer.1.output.dense.bias"));
  EXPECT_THAT(refusal(narrow), HasSubstr("encoder.layer.0.attention.self.key.weight\" has shape [16, 15]"));
}

TEST_F(RobertaEncoderTest, RefusesIntegersForWeights) {
  TinyModel quantized = testing::tiny_encoder();
  at::Tensor& weight = quantized.tensors["encoder.layer.1.output.dense.weight"];
  weight = (weight * 50).to(at::kChar);

  EXPECT_THAT(refusal(quantized),
              HasSubstr("encoder.layer.1.output.dense.weight\" has dtype I8; expected F32, F16 or BF16"));
}

TEST_F(RobertaEncoderTest, KeepsItsIdentityInADtypeThatHoldsTheSameValues) {
  TinyModel model = testing::tiny_encoder();
  for (auto& [name, tensor] : model.tensors) {
    tensor = tensor.to(at::kBFloat16).to(at::kFloat);
  }
  TinyModel stored_as_bf16 = model;
  for (auto& [name, tensor] : stored_as_bf16.tensors) {
    tensor = tensor.to(at::kBFloat16);
  }

  EXPECT_EQ(load(model)->identity(), load(stored_as_bf16)->identity());
  EXPECT_EQ(load(model)->identity(), load(model, at::kBFloat16)->identity());
}

TEST_F(RobertaEncoderTest, ChangesItsIdentityWithEveryWeightAndOptionThatCounts) {
  const TinyModel model = testing::tiny_encoder();
  TinyModel other_weight = model;
  at::Tensor bias = model.tensors.at("encoder.layer.0.output.dense.bias").clone();
  bias[3] += 1e-3;
  other_weight.tensors["encoder.layer.0.output.dense.bias"] = bias;
  TinyModel other_heads = model;
  other_heads.config["num_attention_heads"] = 4;
  TinyModel other_activation = model;
  other_activation.config["hidden_act"] = "relu";
  TinyModel other_epsilon = model;
  other_epsilon.config["layer_norm_eps"] = 1e-6;
  TinyModel other_comment = model;
  other_comment.config["hidden_dropout_prob"] = 0.5;
  const std::string identity = load(model)->identity();

  EXPECT_NE(load(other_weight)->identity(), identity);
  EXPECT_NE(load(other_heads)->identity(), identity);
  EXPECT_NE(load(other_activation)->identity(), identity);
  EXPECT_NE(load(other_epsilon)->identity(), identity);
  EXPECT_EQ(load(other_comment)->identity(), identity);
}

TEST_F(RobertaEncoderTest, ComputesEachActivationThatItNames) {
  std::map<std::string, at::Tensor> vectors;
  for (const char* name : {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu"}) {
    TinyModel model = testing::tiny_encoder();
    model.config["hidden_act"] = name;
    vectors[name] = load(model)->embed(kRows, Pooling::kCls, false);
  }

  EXPECT_TRUE(at::equal(vectors["gelu_new"], vectors["gelu_pytorch_tanh"]));
  EXPECT_FALSE(at::equal(vectors["gelu"], vectors["gelu_new"]));
  EXPECT_TRUE(at::allclose(vectors["gelu"], vectors["gelu_new"], 1e-2, 1e-2));
  EXPECT_FALSE(at::allclose(vectors["gelu"], vectors["relu"], 1e-2, 1e-2));
}

}  // namespace
}  // namespace refrag

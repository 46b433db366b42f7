#include "model/cross_encoder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/tiny_models.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::TinyModel;

TinyModel tiny_reranker(const std::string& type) {
  const bool is_bert = type == "bert";
  TinyModel encoder = testing::tiny_encoder(type, 1500);
  TinyModel model{encoder.config, {}};
  for (const auto& [name, tensor] : encoder.tensors) {
    model.tensors[type + "." + name] = tensor;
  }
  model.config["architectures"] = {is_bert ? "BertForSequenceClassification" : "RobertaForSequenceClassification"};
  testing::add_linear(model, is_bert ? "bert.pooler.dense" : "classifier.dense", 16, 16);
  testing::add_linear(model, is_bert ? "classifier" : "classifier.out_proj", 1, 16);
  return model;
}

class CrossEncoderTest : public ::testing::Test {
 protected:
  CrossEncoderTest() {
    fs::copy_file(testing::golden_tokenizer("wordpiece_uncased") / "tokenizer.json", path() / "tokenizer.json");
  }
  const fs::path& path() const { return directory_.path(); }
  std::shared_ptr<const CrossEncoder> load(const TinyModel& model,
                                           nn::WeightLayout layout = nn::WeightLayout::kPlain) const {
    model.write(path());
    return CrossEncoder::load(path(), at::kFloat, layout);
  }
  std::string refusal(const TinyModel& model) const {
    try {
      load(model);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      return error.what();
    }
    return "";
  }

  TemporaryDirectory directory_;
};

TEST_F(CrossEncoderTest, PutsBertsClassifierOverThePooledPair) {
  const TinyModel model = tiny_reranker("bert");
  const float score = load(model)->score("who", {"the author"}).front();

  const Tokenizer::Pair pair = Tokenizer::load(path())->encode_pair("who", "the author");
  const auto encoder = RobertaEncoder::load(path(), at::kFloat);
  const at::Tensor first = encoder->embed({{pair.ids, pair.type_ids}}, Pooling::kCls, false);
  const auto layer = [&](const std::string& name, const at::Tensor& x) {
    return at::linear(x, model.tensors.at(name + ".weight"), model.tensors.at(name + ".bias"));
  };
  const at::Tensor expected = layer("classifier", at::tanh(layer("bert.pooler.dense", first)));
  EXPECT_NEAR(score, expected.item<float>(), 1e-5);
}

TEST_F(CrossEncoderTest, PutsRobertasHeadOverTheFirstToken) {
  const TinyModel model = tiny_reranker("roberta");
  const float score = load(model)->score("who", {"the author"}).front();

  const Tokenizer::Pair pair = Tokenizer::load(path())->encode_pair("who", "the author");
  const auto encoder = RobertaEncoder::load(path(), at::kFloat);
  const at::Tensor first = encoder->embed({{pair.ids, {}}}, Pooling::kCls, false);
  const auto layer = [&](const std::string& name, const at::Tensor& x) {
    return at::linear(x, model.tensors.at(name + ".weight"), model.tensors.at(name + ".bias"));
  };
  const at::Tensor expected = layer("classifier.out_proj", at::tanh(layer("classifier.dense", first)));
  EXPECT_NEAR(score, expected.item<float>(), 1e-5);
}

TEST_F(CrossEncoderTest, ScoresEachTextInOrderWhateverItsNeighbours) {
  const auto reranker = load(tiny_reranker("bert"));
  const std::vector<std::string> texts = {"a much longer text about a licence", "rain", "the author of it"};
  const std::vector<float> scores = reranker->score("who", texts);

  ASSERT_EQ(scores.size(), 3U);
  for (std::size_t n = 0; n < texts.size(); ++n) {
    EXPECT_NEAR(scores[n], reranker->score("who", {texts[n]}).front(), 1e-5) << n;
  }
  EXPECT_TRUE(reranker->score("who", {}).empty());
}

TEST_F(CrossEncoderTest, WeightsInBlocksGiveTheScoresOfPlainOnes) {
  if (!at::globalContext().hasMKLDNN()) GTEST_SKIP() << "libtorch is without oneDNN";
  ASSERT_NE(nn::BlockedWeight::of(at::ones({16, 16})), nullptr);
  const std::vector<std::string> texts = {"a much longer text about a licence", "rain", "the author of it"};
  for (const char* type : {"bert", "roberta"}) {
    const std::vector<float> plain = load(tiny_reranker(type))->score("who", texts);
    const std::vector<float> blocked = load(tiny_reranker(type), nn::WeightLayout::kBlocked)->score("who", texts);

    ASSERT_EQ(blocked.size(), plain.size());
    for (std::size_t n = 0; n < texts.size(); ++n) EXPECT_NEAR(blocked[n], plain[n], 1e-5) << type << " " << n;
  }
}

TEST_F(CrossEncoderTest, CutsTheEndOfATextThatIsTooLong) {
  const auto reranker = load(tiny_reranker("bert"));
  std::string text = "a b c d e f g h i j k l m n o";  // 15 tokens and [CLS] who [SEP] ... [SEP]: 19 of 20
  const float fits = reranker->score("a", {text + " p"}).front();

  EXPECT_EQ(reranker->score("a", {text + " p q r s"}).front(), fits);
  EXPECT_NE(reranker->score("a", {text}).front(), fits);
}

TEST_F(CrossEncoderTest, RefusesOtherArchitecturesAndSeveralLabels) {
  TinyModel plain = tiny_reranker("bert");
  plain.config["architectures"] = {"BertModel"};
  TinyModel labels = tiny_reranker("bert");
  testing::add_linear(labels, "classifier", 3, 16);

  EXPECT_THAT(refusal(plain), HasSubstr("\"BertModel\""));
  EXPECT_THAT(refusal(labels), HasSubstr("3 labels"));
}

}  // namespace
}  // namespace refrag

#include "model/text_embedder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/text_input.h"
#include "support/tiny_models.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class TextEmbedderTest : public ::testing::Test {
 protected:
  TextEmbedderTest() {
    testing::tiny_encoder("bert", 1500).write(path());
    fs::copy_file(testing::golden_tokenizer("wordpiece_uncased") / "tokenizer.json", path() / "tokenizer.json");
    encoder_ = RobertaEncoder::load(path(), at::kFloat);
    tokenizer_ = Tokenizer::load(path());
  }
  const fs::path& path() const { return directory_.path(); }
  at::Tensor embed_directly(const std::string& text, Pooling pooling, std::size_t max_tokens = 20) const {
    return encoder_->embed({{encode_for_encoder(*tokenizer_, text, max_tokens).ids, {}}}, pooling, true)[0];
  }
  std::shared_ptr<const TextEmbedder> load(const TextEmbedderOptions& options = {}) const {
    return TextEmbedder::load(path(), options, at::kFloat);
  }
  std::string refusal() const {
    try {
      load();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  void write_modules(const Json& pooling) const {
    testing::write_json(
        path() / "modules.json",
        Json::parse(R"([{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
                          {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                          {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])"));
    fs::create_directories(path() / "1_Pooling");
    testing::write_json(path() / "1_Pooling" / "config.json", pooling);
  }

  TemporaryDirectory directory_;
  std::shared_ptr<const RobertaEncoder> encoder_;
  std::shared_ptr<const Tokenizer> tokenizer_;
};

TEST_F(TextEmbedderTest, PoolsByTheMeanWhereNothingElseIsSaid) {
  EXPECT_TRUE(at::equal(load()->embed_queries({"the licence"})[0], embed_directly("the licence", Pooling::kMean)));
}

TEST_F(TextEmbedderTest, FollowsTheModulesOfSentenceTransformers) {
  write_modules(
      {{"word_embedding_dimension", 16}, {"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", false}});
  testing::write_json(path() / "sentence_bert_config.json", {{"max_seq_length", 5}, {"do_lower_case", false}});
  const std::string text = "the terms of the licence apply to you";

  EXPECT_TRUE(at::equal(load()->embed_passages({text})[0], embed_directly(text, Pooling::kCls, 5)));
}

TEST_F(TextEmbedderTest, PutsEachPrefixBeforeItsOwnKindOfText) {
  const auto embedder = load({.query_prefix = "query: ", .passage_prefix = "passage: "});

  EXPECT_TRUE(at::equal(embedder->embed_queries({"rain"})[0], embed_directly("query: rain", Pooling::kMean)));
  EXPECT_TRUE(at::equal(embedder->embed_passages({"rain"})[0], embed_directly("passage: rain", Pooling::kMean)));
}

TEST_F(TextEmbedderTest, KeepsTheEndTokenOfATextThatItCuts) {
  const TextInput cut = encode_for_encoder(*tokenizer_, "one two three four five six", 4);
  const std::vector<TokenId> whole = tokenizer_->encode_for_model("one two three four five six");

  EXPECT_TRUE(cut.was_cut);
  ASSERT_EQ(cut.ids.size(), 4U);
  EXPECT_EQ(cut.ids[2], whole[2]);
  EXPECT_EQ(cut.ids.back(), whole.back());
}

TEST_F(TextEmbedderTest, RefusesModulesAndPoolingsByName) {
  write_modules({{"pooling_mode_max_tokens", true}});
  EXPECT_THAT(refusal(), HasSubstr("pooling_mode_max_tokens"));

  write_modules({{"pooling_mode_cls_token", true}, {"pooling_mode_mean_tokens", true}});
  EXPECT_THAT(refusal(), HasSubstr("pooling_mode_cls_token and pooling_mode_mean_tokens"));

  testing::write_json(path() / "modules.json", {{{"type", "sentence_transformers.models.Dense"}, {"path", "2_Dense"}}});
  EXPECT_THAT(refusal(), HasSubstr("modules.json: modules[0].type is \"sentence_transformers.models.Dense\""));

  testing::write_json(path() / "modules.json",
                      {{{"type", "sentence_transformers.models.Transformer"}, {"path", "../../etc"}}});
  EXPECT_THAT(refusal(), HasSubstr("../../etc"));
}

TEST_F(TextEmbedderTest, RefusesAModelThatWasTrainedForDotProducts) {
  testing::write_json(path() / "config_sentence_transformers.json", {{"similarity_fn_name", "dot"}});

  EXPECT_THAT(refusal(), HasSubstr("similarity_fn_name is \"dot\""));
}

TEST_F(TextEmbedderTest, AveragesTheChunksOfATextWithoutARetriever) {
  const auto chunk_encoder = std::make_shared<ChunkEncoder>(encoder_, tokenizer_, ChunkInput{});
  const TextEmbedder embedder(chunk_encoder, tokenizer_, 3, {});
  const std::vector<TokenId> ids = tokenizer_->encode("a b c d e");
  ASSERT_EQ(ids.size(), 5U);
  const at::Tensor mean = chunk_encoder->encode({{ids[0], ids[1], ids[2]}, {ids[3], ids[4]}}).mean(0);
  const at::Tensor vectors = embedder.embed_passages({"a b c d e", "", "a"});

  EXPECT_TRUE(at::allclose(vectors[0], mean / mean.norm(), 1e-5, 1e-5));
  EXPECT_EQ(vectors[1].abs().max().item<float>(), 0);  // no token, no direction
  EXPECT_NEAR(vectors[2].norm().item<double>(), 1, 1e-5);
}

}  // namespace
}  // namespace refrag

#include "bench/random_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "bench/machine.h"
#include "engine/bundle_runner.h"
#include "support/errors.h"
#include "support/golden.h"

namespace refrag::bench {
namespace {

using refrag::testing::error_of;
using ::testing::HasSubstr;

TEST(Shapes, HaveTheSizesOfThePublishedModels) {
  const DecoderShape llama = read_decoder_shape(decoder_config("tinyllama"), "tinyllama");
  EXPECT_EQ(llama.layers, 22U);
  EXPECT_EQ(llama.head_dim, 64U);
  EXPECT_EQ(llama.kv_heads, 4U);
  // 1,100,048,384 parameters, of which the embedding table and the norms' are not read for a token.
  EXPECT_EQ(weights_a_token(llama), 1100048384.0 - 32000.0 * 2048 - 2048 * (2 * 22 + 1));
  EXPECT_EQ(read_decoder_shape(decoder_config("llama2-7b"), "").width, 4096U);
  EXPECT_EQ(read_encoder_shape(encoder_config("roberta-base"), "").ffn_width, 3072U);
}

TEST(Shapes, AreReadFromAFileOrAModelsDirectory) {
  const std::string model = (testing::trained_bundle() / "decoder").string();
  EXPECT_EQ(decoder_config(model), decoder_config(model + "/config.json"));
  const DecoderShape tiny = read_decoder_shape(decoder_config("tiny"), "");
  const DecoderShape file = read_decoder_shape(decoder_config(model), "");
  EXPECT_EQ(tiny.layers, file.layers);
  EXPECT_EQ(weights_a_token(tiny), weights_a_token(file));
}

TEST(Shapes, ThatAreNotKnownAreRefusedWithThoseThatAre) {
  const Error error = error_of([] { decoder_config("gigallama"); });
  EXPECT_EQ(error.code(), ErrorCode::kNotFound);
  EXPECT_THAT(error.what(), HasSubstr("--shape is 'gigallama'"));
  EXPECT_THAT(error.what(), HasSubstr("tinyllama"));
  EXPECT_THAT(error_of([] { encoder_config("x"); }).what(), HasSubstr("roberta-base"));
}

TEST(Shapes, WithNonsenseInThemAreRefusedByField) {
  Json config = decoder_config("tiny");
  config["num_key_value_heads"] = 2;  // of 3 heads
  EXPECT_THAT(error_of([&] { read_decoder_shape(config, "c.json"); }).what(), HasSubstr("num_key_value_heads"));
  config = decoder_config("tiny");
  config.erase("hidden_size");
  EXPECT_THAT(error_of([&] { read_decoder_shape(config, "c.json"); }).what(), HasSubstr("hidden_size"));
  config = decoder_config("tiny");
  config["model_type"] = "mamba";
  EXPECT_EQ(error_of([&] { read_decoder_shape(config, "c.json"); }).code(), ErrorCode::kUnsupported);
}

RandomModelOptions tiny_options() {
  return {.decoder = "tiny", .encoder = "tiny", .layers = 2, .max_positions = 512, .dtype = Dtype::kFp32, .threads = 1};
}

TEST(RandomModel, RunsEveryPartOfAWholeModel) {
  const RandomModel model(tiny_options());
  EXPECT_EQ(model.decoder().layers, 6U);
  EXPECT_EQ(model.layers_run(), 2U);
  BundleRunner runner(model.bundle(8));
  EXPECT_EQ(runner.info().chunk_size, 8U);
  EXPECT_EQ(runner.info().context_length, 512U);
  EXPECT_TRUE(runner.info().has_policy);
  const Matrix chunks = runner.encode_chunks({{300, 301}, {302}});
  const Matrix projected = runner.project(chunks);
  EXPECT_EQ(projected.width, model.decoder().width);
  EXPECT_EQ(runner.score_chunks(chunks, chunks, nullptr).size(), 2U);
  const SequenceId sequence = runner.open_sequence(3);
  const std::vector<Entry> entries = {{1, -1}, {Entry::kVector, 1}, {300, -1}};
  const StepInput input{sequence, 0, entries, &projected, 1};
  const Matrix logits = runner.step({&input, 1})[0];
  EXPECT_EQ(logits.width, 2048U);
  EXPECT_NE(logits.values[0], logits.values[1]);
}

TEST(RandomModel, BundlesOfTwoChunkSizesAreTwoModels) {
  const RandomModel model(tiny_options());
  EXPECT_NE(model.bundle(8)->identities().chunks, model.bundle(16)->identities().chunks);
  EXPECT_EQ(model.bundle(8)->identities().chunks, model.bundle(8)->identities().chunks);
}

TEST(RandomModel, HasNoMoreLayersThanItsShape) {
  RandomModelOptions options = tiny_options();
  options.layers = 7;
  EXPECT_THAT(error_of([&] { RandomModel model(options); }).what(), HasSubstr("--layers is 7; tiny has 6"));
}

TEST(Machine, IsMeasuredUpToTheLongestPrefill) {
  const RandomModel model(tiny_options());
  const MachineRates rates = measure_machine(*model.bundle(8), 200, 128);
  EXPECT_GT(rates.linear, 0);
  EXPECT_GT(rates.memory, 0);
  EXPECT_GT(rates.outside_ms, 0);
  EXPECT_EQ(rates.attention.size(), 3U);  // 64, 128, 200
  EXPECT_EQ(rates.attention.rbegin()->first, 200U);
}

TEST(Machine, InterpolatesAttentionsRateBetweenLengths) {
  MachineRates rates;
  rates.linear = 5;
  EXPECT_EQ(rates.attention_at(100), 5);  // nothing was measured
  rates.attention = {{64, 10}, {256, 30}};
  EXPECT_EQ(rates.attention_at(1), 10);
  EXPECT_DOUBLE_EQ(rates.attention_at(128), 20);
  EXPECT_EQ(rates.attention_at(1000), 30);
}

TEST(Machine, KeepsTheBetterOfTwoMeasurements) {
  const MachineRates rates = better_of({1, 20, 3, {{64, 5}, {128, 6}}}, {2, 10, 4, {{64, 7}, {128, 5}}});
  EXPECT_EQ(rates.linear, 2);
  EXPECT_EQ(rates.memory, 20);
  EXPECT_EQ(rates.outside_ms, 3);
  EXPECT_EQ(rates.attention, (std::map<std::size_t, double>{{64, 7}, {128, 6}}));
}

}  // namespace
}  // namespace refrag::bench

// Decoders against Hugging Face transformers: tests/golden/README.md has the formats, scripts/fixtures/make_fixtures.py
// makes them. Differences above 1e-3 fail; the worst one is recorded as a property of each test.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "model/checkpoint.h"
#include "model/llama_decoder.h"
#include "support/golden.h"

namespace refrag {
namespace {

constexpr double kTolerance = 1e-3;
constexpr double kTie =
    0.01;  // real weights: where the best logit leads by less, another implementation may choose another

std::vector<std::filesystem::path> decoder_cases() {
  std::vector<std::filesystem::path> cases;
  const std::filesystem::path root = testing::golden_directory() / "decoders";
  if (std::filesystem::is_directory(root)) {
    for (const auto& entry : std::filesystem::directory_iterator(root)) cases.push_back(entry.path());
  }
  std::sort(cases.begin(), cases.end());
  return cases;
}

std::string name_of_case(const ::testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.filename().string();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

std::vector<TokenId> ids_of(const Json& json) { return json.get<std::vector<TokenId>>(); }

std::vector<TokenId> ids_of(const at::Tensor& tensor) {
  const at::Tensor ids = tensor.to(at::kInt).contiguous();
  return {ids.const_data_ptr<TokenId>(), ids.const_data_ptr<TokenId>() + ids.numel()};
}

/// Greedy decoding, step by step behind what is prefilled at once.
std::vector<TokenId> decode_greedily(const LlamaDecoder& decoder, const at::Tensor& prompt, std::size_t steps) {
  KvCache cache = decoder.make_cache();
  std::vector<TokenId> ids;
  at::Tensor hidden = decoder.forward(prompt, &cache);
  while (ids.size() < steps) {
    ids.push_back(decoder.logits(hidden.narrow(0, hidden.size(0) - 1, 1)).argmax().item().to<TokenId>());
    hidden = decoder.forward(decoder.embed(std::span(&ids.back(), 1)), &cache);
  }
  return ids;
}

class DecoderTest : public ::testing::TestWithParam<std::filesystem::path> {
 protected:
  DecoderTest()
      : decoder_(LlamaDecoder::load(GetParam(), at::kFloat)),
        inputs_(testing::read_golden_json(GetParam() / "inputs.json")),
        expected_(Checkpoint::open(GetParam() / "expected.safetensors")) {}

  void expect_close(const at::Tensor& found, const std::string& name) {
    const at::Tensor expected = expected_.tensor(name);
    ASSERT_EQ(found.sizes(), expected.sizes()) << name;
    const double worst = (found - expected).abs().max().item<double>();
    RecordProperty(name, std::to_string(worst));
    std::cout << GetParam().filename().string() << ' ' << name << ": worst difference " << worst << '\n';
    EXPECT_LT(worst, kTolerance) << name;  // NaN fails too
  }

  at::Tensor input() const { return decoder_->embed(ids_of(inputs_.at("input_ids"))); }

  /// Token embeddings and rows of mixed.vectors, in the order of the spans.
  at::Tensor mixed_input() const {
    const at::Tensor vectors = expected_.tensor("mixed.vectors");
    std::vector<at::Tensor> spans;
    for (const Json& span : inputs_.at("mixed").at("spans")) {
      if (span.contains("tokens")) {
        spans.push_back(decoder_->embed(ids_of(span.at("tokens"))));
      } else {
        const auto from = span.at("vectors").at(0).get<std::int64_t>();
        spans.push_back(vectors.narrow(0, from, span.at("vectors").at(1).get<std::int64_t>() - from));
      }
    }
    return at::cat(spans);
  }

  const c10::InferenceMode inference_mode_;
  std::shared_ptr<const LlamaDecoder> decoder_;
  Json inputs_;
  Checkpoint expected_;
};

TEST_P(DecoderTest, GivesTheLogitsAndTheLastHiddenStateOfTheReference) {
  const at::Tensor hidden = decoder_->forward(input());
  const auto wanted = inputs_.at("logits_of_last").get<std::int64_t>();

  expect_close(decoder_->logits(hidden.narrow(0, hidden.size(0) - wanted, wanted)), "logits");
  expect_close(hidden[hidden.size(0) - 1], "last_hidden");
}

TEST_P(DecoderTest, TakesVectorsBesideTokensAsTheReferenceDoes) {
  const at::Tensor hidden = decoder_->forward(mixed_input());

  expect_close(decoder_->logits(hidden), "mixed.logits");
  expect_close(hidden, "mixed.last_hidden");
}

TEST_P(DecoderTest, GivesTheSameLogitsOneStepAtATime) {
  KvCache cache = decoder_->make_cache();
  const at::Tensor x = mixed_input();
  std::vector<at::Tensor> steps;
  for (std::int64_t row = 0; row < x.size(0); ++row) {
    steps.push_back(decoder_->logits(decoder_->forward(x.narrow(0, row, 1), &cache)));
  }

  expect_close(at::cat(steps), "mixed.logits");
}

TEST_P(DecoderTest, DecodesTheReferencesTokensAfterText) {
  const at::Tensor expected = expected_.tensor("generate.ids");
  const at::Tensor prompt = decoder_->embed(ids_of(inputs_.at("generate").at("prompt")));

  EXPECT_EQ(decode_greedily(*decoder_, prompt, static_cast<std::size_t>(expected.numel())), ids_of(expected));
}

TEST_P(DecoderTest, DecodesTheReferencesTokensAfterVectorsAndText) {
  const at::Tensor expected = expected_.tensor("mixed_generate.ids");

  EXPECT_EQ(decode_greedily(*decoder_, mixed_input(), static_cast<std::size_t>(expected.numel())), ids_of(expected));
}

INSTANTIATE_TEST_SUITE_P(Golden, DecoderTest, ::testing::ValuesIn(decoder_cases()), name_of_case);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DecoderTest);

TEST(GoldenDecoders, FixturesAreThere) {
  if (!testing::has_golden("decoders")) {
    GTEST_SKIP() << "no decoders in " << testing::golden_directory();
  }
  EXPECT_FALSE(decoder_cases().empty());
}

/// SmolLM2-135M-Instruct as Hugging Face lays it out: scripts/fetch-smollm2.sh makes the directory.
class RealDecoderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* weights = std::getenv("REFRAG_SMOLLM2_DIR");
    golden_ = testing::golden_directory() / "real" / "smollm2";
    if (weights == nullptr || *weights == '\0' || !testing::has_golden("real/smollm2")) {
      GTEST_SKIP() << "real/smollm2: needs REFRAG_SMOLLM2_DIR, and its vectors in the golden directory";
    }
    decoder_ = LlamaDecoder::load(weights, at::kFloat);
    inputs_ = testing::read_golden_json(golden_ / "inputs.json");
  }

  Checkpoint expected() const { return Checkpoint::open(golden_ / "expected.safetensors"); }
  at::Tensor last_logits(const at::Tensor& x) const {
    const at::Tensor hidden = decoder_->forward(x);
    return decoder_->logits(hidden[hidden.size(0) - 1]);
  }
  static void expect_close(const at::Tensor& found, const at::Tensor& wanted, const std::string& name) {
    ASSERT_EQ(found.numel(), wanted.numel()) << name;
    const double worst = (found.flatten() - wanted.flatten()).abs().max().item<double>();
    std::cout << "smollm2 " << name << ": worst difference " << worst << '\n';
    EXPECT_LT(worst, kTolerance) << name;
  }

  const c10::InferenceMode inference_mode_;
  std::filesystem::path golden_;
  std::shared_ptr<const LlamaDecoder> decoder_;
  Json inputs_;
};

TEST_F(RealDecoderTest, GivesTheLogitsOfEveryPrompt) {
  const Checkpoint golden = expected();
  for (std::size_t n = 0; n < inputs_.at("prompts").size(); ++n) {
    const std::string name = "prompt" + std::to_string(n) + ".last_logits";
    expect_close(last_logits(decoder_->embed(ids_of(inputs_.at("prompts").at(n).at("ids")))), golden.tensor(name),
                 name);
  }
}

TEST_F(RealDecoderTest, DecodesTheReferencesTokensUpToTheFirstTie) {
  const Checkpoint golden = expected();
  const auto steps = inputs_.at("steps").get<std::size_t>();
  for (std::size_t n = 0; n < inputs_.at("prompts").size(); ++n) {
    const std::string prefix = "prompt" + std::to_string(n);
    const std::vector<TokenId> wanted = ids_of(golden.tensor(prefix + ".generated"));
    const at::Tensor margins = golden.tensor(prefix + ".margins");
    const std::vector<TokenId> found =
        decode_greedily(*decoder_, decoder_->embed(ids_of(inputs_.at("prompts").at(n).at("ids"))), steps);
    for (std::size_t step = 0; step < steps && margins[static_cast<std::int64_t>(step)].item<double>() >= kTie;
         ++step) {
      EXPECT_EQ(found[step], wanted[step]) << prefix << ", step " << step;
    }
  }
}

TEST_F(RealDecoderTest, GivesTheLogProbabilitiesOfAPassage) {
  const std::vector<TokenId> ids = ids_of(inputs_.at("passage").at("ids"));
  const at::Tensor logits = decoder_->logits(decoder_->forward(decoder_->embed(ids)));
  const at::Tensor next = at::tensor(std::vector<std::int64_t>(ids.begin() + 1, ids.end())).unsqueeze(1);

  expect_close(logits.narrow(0, 0, logits.size(0) - 1).log_softmax(-1).gather(1, next),
               expected().tensor("passage.log_probabilities"), "passage.log_probabilities");
}

TEST_F(RealDecoderTest, TakesVectorsBesideTokens) {
  const Checkpoint golden = expected();

  expect_close(last_logits(golden.tensor("mixed.inputs_embeds").flatten(0, -2)), golden.tensor("mixed.last_logits"),
               "mixed.last_logits");
}

}  // namespace
}  // namespace refrag

#include "model/llama_decoder.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/variable.h>

#include <thread>

#include "support/errors.h"
#include "support/tiny_llama.h"

namespace refrag {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::TinyLlama;

constexpr double kSame = 2e-5;  // sums in another order

double worst_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

std::vector<TokenId> some_ids(std::size_t count, TokenId seed = 1) {
  std::vector<TokenId> ids;
  for (std::size_t i = 0; i < count; ++i) {
    seed = (seed * 17 + 5) % 50;
    ids.push_back(seed);
  }
  return ids;
}

class LlamaDecoderTest : public ::testing::Test {
 protected:
  std::shared_ptr<const LlamaDecoder> load(const at::TensorOptions& options = at::kFloat,
                                           nn::WeightLayout layout = nn::WeightLayout::kPlain) const {
    tiny.write(directory_.path());
    return LlamaDecoder::load(directory_.path(), options, layout);
  }
  Error load_error() const {
    return error_of([&] { load(); });
  }

  TinyLlama tiny;

 private:
  TemporaryDirectory directory_;
};

TEST_F(LlamaDecoderTest, DecodingWithACacheEqualsComputingAllAnew) {
  const auto decoder = load();
  const at::Tensor x = decoder->embed(some_ids(40));
  KvCache cache = decoder->make_cache();

  std::vector<at::Tensor> steps;
  for (std::int64_t row = 0; row < 40; ++row) {
    steps.push_back(decoder->forward(x.narrow(0, row, 1), &cache));
  }

  EXPECT_LT(worst_difference(at::cat(steps), decoder->forward(x)), kSame);
}

TEST_F(LlamaDecoderTest, PrefillInPiecesEqualsPrefillAtOnce) {
  const auto decoder = load();
  const at::Tensor x = decoder->embed(some_ids(100));
  KvCache cache = decoder->make_cache();

  std::vector<at::Tensor> pieces;
  for (const auto& [first, count] : {std::pair{0, 7}, {7, 2}, {9, 60}, {69, 31}}) {
    pieces.push_back(decoder->forward(x.narrow(0, first, count), &cache));
  }

  EXPECT_LT(worst_difference(at::cat(pieces), decoder->forward(x)), kSame);
}

TEST_F(LlamaDecoderTest, CutBackAndPrefilledAgainEqualsAFreshRun) {
  const auto decoder = load();
  const at::Tensor before = decoder->embed(some_ids(30));
  const at::Tensor instead = decoder->embed(some_ids(25, 9));
  KvCache cache = decoder->make_cache();
  decoder->forward(before, &cache);
  decoder->forward(decoder->embed(some_ids(3, 4)), &cache);

  cache.truncate(11);
  const at::Tensor again = decoder->forward(instead, &cache);
  cache.truncate(20);
  const at::Tensor once_more = decoder->forward(instead.narrow(0, 9, 16), &cache);

  const at::Tensor fresh = decoder->forward(at::cat({before.narrow(0, 0, 11), instead}));
  EXPECT_LT(worst_difference(again, fresh.narrow(0, 11, 25)), kSame);
  EXPECT_LT(worst_difference(once_more, fresh.narrow(0, 20, 16)), kSame);
}

TEST_F(LlamaDecoderTest, SequencesOfDifferentLengthsInOneBatchEqualEachAlone) {
  const auto decoder = load();
  const at::Tensor a = decoder->embed(some_ids(12));
  const at::Tensor b = decoder->embed(some_ids(33, 7));
  const at::Tensor c = decoder->embed(some_ids(1, 3));
  KvCache cache_a = decoder->make_cache();
  KvCache cache_c = decoder->make_cache();
  decoder->forward(a.narrow(0, 0, 11), &cache_a);  // one decodes its last row, one prefills, one begins

  const std::vector<SequenceRows> sequences = {{1, &cache_a}, {33, nullptr}, {1, &cache_c}};
  const at::Tensor together = decoder->forward(at::cat({a.narrow(0, 11, 1), b, c}), sequences);

  EXPECT_LT(worst_difference(together.narrow(0, 0, 1), decoder->forward(a).narrow(0, 11, 1)), kSame);
  EXPECT_LT(worst_difference(together.narrow(0, 1, 33), decoder->forward(b)), kSame);
  EXPECT_LT(worst_difference(together.narrow(0, 34, 1), decoder->forward(c)), kSame);
  EXPECT_EQ(cache_a.length(), 12);
  EXPECT_EQ(cache_c.length(), 1);
}

TEST_F(LlamaDecoderTest, LogitsOfSomeRowsAreThoseRowsOfAllLogits) {
  const auto decoder = load();
  const at::Tensor hidden = decoder->forward(decoder->embed(some_ids(9)));

  const at::Tensor all = decoder->logits(hidden);

  EXPECT_EQ(all.sizes(), at::IntArrayRef({9, 50}));
  EXPECT_LT(worst_difference(decoder->logits(hidden.narrow(0, 8, 1)), all.narrow(0, 8, 1)), kSame);
}

TEST_F(LlamaDecoderTest, GradientsReachTheInputOfTheSameForward) {
  const auto decoder = load();
  const at::Tensor x = decoder->embed(some_ids(6));
  const at::Tensor direction = at::randn_like(x);
  const auto loss_at = [&](const at::Tensor& input) {
    return decoder->logits(decoder->forward(input)).log_softmax(-1).select(1, 3).sum();
  };

  const at::Tensor tracked = x.clone().requires_grad_(true);
  loss_at(tracked).backward();

  const double step = 1e-2;
  const double slope = (loss_at(x + step * direction) - loss_at(x - step * direction)).item<double>() / (2 * step);
  const double expected = (tracked.grad() * direction).sum().item<double>();
  EXPECT_NEAR(slope, expected, 0.02 * std::abs(expected) + 0.01);
  EXPECT_GT(std::abs(expected), 0.1);
}

TEST_F(LlamaDecoderTest, Bf16StaysNearFp32) {
  const auto exact = load();
  const auto rounded = load(at::kBFloat16);
  const std::vector<TokenId> ids = some_ids(20);

  const at::Tensor logits = rounded->logits(rounded->forward(rounded->embed(ids)));

  EXPECT_EQ(logits.scalar_type(), at::kFloat);
  EXPECT_EQ(rounded->kv_bytes_per_position() * 2, exact->kv_bytes_per_position());
  const at::Tensor expected = exact->logits(exact->forward(exact->embed(ids)));
  EXPECT_LT(worst_difference(logits, expected), 0.05 * expected.abs().max().item<double>());
}

TEST_F(LlamaDecoderTest, Int8WeightsStayNearFp32InPrefillAndDecoding) {
  for (const bool tied : {false, true}) {
    if (tied) tiny.tensors.erase("lm_head.weight");
    tiny.config["tie_word_embeddings"] = tied;
    const auto exact = load();
    const auto int8 = load(at::kFloat, nn::WeightLayout::kInt8);
    const std::vector<TokenId> ids = some_ids(40);
    const at::Tensor x = int8->embed(ids);
    KvCache cache = int8->make_cache();

    const at::Tensor prefilled = int8->logits(int8->forward(x));  // more rows than whole numbers are used for
    std::vector<at::Tensor> steps;
    for (std::int64_t row = 0; row < 40; ++row) {
      steps.push_back(int8->logits(int8->forward(x.narrow(0, row, 1), &cache)));
    }

    const at::Tensor expected = exact->logits(exact->forward(exact->embed(ids)));
    const double largest = expected.abs().max().item<double>();
    EXPECT_LT(worst_difference(prefilled, expected), 0.05 * largest);
    EXPECT_GT(worst_difference(prefilled, expected), 1e-4) << "nothing was rounded";
    EXPECT_LT(worst_difference(at::cat(steps), prefilled), 2e-3 * largest) << "the same weights, rows in 16 bits";
    EXPECT_EQ(int8->kv_bytes_per_position(), exact->kv_bytes_per_position());
  }
}

TEST_F(LlamaDecoderTest, BytesOfAPositionAreWhatTheCacheTakes) {
  const auto decoder = load();

  EXPECT_EQ(decoder->make_cache(64).bytes(), 64 * decoder->kv_bytes_per_position());
}

TEST_F(LlamaDecoderTest, RefusesAnIdOutsideItsVocabulary) {
  const auto decoder = load();

  for (const TokenId id : {-1, 50}) {
    const Error error = error_of([&] { decoder->embed(std::vector<TokenId>{1, id}); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_THAT(error.what(), HasSubstr("vocabulary of 50"));
  }
}

TEST_F(LlamaDecoderTest, NamesATensorThatIsMissing) {
  tiny.tensors.erase("model.layers.1.mlp.up_proj.weight");

  EXPECT_EQ(load_error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(load_error().what(), HasSubstr("no tensor \"model.layers.1.mlp.up_proj.weight\""));
}

TEST_F(LlamaDecoderTest, NamesATensorWhoseShapeIsNotTheConfigs) {
  tiny.config["vocab_size"] = 51;

  EXPECT_EQ(load_error().code(), ErrorCode::kCorrupt);
  EXPECT_THAT(load_error().what(), HasSubstr("\"model.embed_tokens.weight\" has shape [50, 24]; expected [51, 24]"));
}

TEST_F(LlamaDecoderTest, RefusesATensorThatItWouldLeaveOut) {
  tiny.add("model.layers.0.self_attn.q_norm.weight", {8});

  EXPECT_EQ(load_error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(load_error().what(), HasSubstr("q_norm"));
}

TEST_F(LlamaDecoderTest, RefusesWeightsThatAreNotNumbersWithAPoint) {
  tiny.tensors["model.norm.weight"] = at::ones({24}, at::kLong);

  EXPECT_EQ(load_error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(load_error().what(), HasSubstr("\"model.norm.weight\" has dtype I64; expected F32, F16 or BF16"));
}

TEST_F(LlamaDecoderTest, PassesOverWhatOldCheckpointsCarryAlong) {
  tiny.add("model.layers.0.self_attn.rotary_emb.inv_freq", {4});
  tiny.config["tie_word_embeddings"] = true;  // its head is then a copy that nobody needs

  const auto decoder = load();

  const at::Tensor hidden = at::randn({1, 24});
  EXPECT_LT(worst_difference(decoder->logits(hidden), hidden.matmul(tiny.tensors["model.embed_tokens.weight"].t())),
            kSame);
}

TEST_F(LlamaDecoderTest, ReadsItsWeightsWhenItFirstRuns) {
  const auto decoder = load();
  const auto read = load();
  read->read_weights();
  const at::Tensor expected = read->logits(read->forward(read->embed(some_ids(4))));

  const at::Tensor logits = [&] {
    const c10::InferenceMode serving;
    return decoder->logits(decoder->forward(decoder->embed(some_ids(4))));
  }();

  EXPECT_LE(worst_difference(logits, expected), 1e-5);
  const at::Tensor x = decoder->embed(some_ids(4)).requires_grad_(true);
  decoder->logits(decoder->forward(x)).sum().backward();  // weights that serving read first take part in training too
  EXPECT_TRUE(x.grad().defined());
}

TEST_F(LlamaDecoderTest, WeightsInBlocksGiveTheLogitsOfPlainOnes) {
  if (!at::globalContext().hasMKLDNN()) GTEST_SKIP() << "libtorch is without oneDNN";
  for (const bool tied : {false, true}) {
    tiny.config["tie_word_embeddings"] = tied;
    if (tied) tiny.tensors.erase("lm_head.weight");
    const auto plain = load();
    const auto blocked = load(at::kFloat, nn::WeightLayout::kBlocked);
    EXPECT_LT(blocked->parameters().size(), plain->parameters().size()) << "it kept its plain weights";
    const auto logits = [](const LlamaDecoder& decoder) {
      KvCache cache = decoder.make_cache();
      const at::Tensor prefilled = decoder.forward(decoder.embed(some_ids(20)), &cache);
      return decoder.logits(at::cat({prefilled, decoder.forward(decoder.embed(some_ids(1)), &cache)}));
    };

    EXPECT_LT(worst_difference(logits(*blocked), logits(*plain)), kSame);
  }
}

TEST_F(LlamaDecoderTest, ReadsItsWeightsOnceForAllThreads) {
  const auto decoder = load();
  std::vector<at::Tensor> rows(8);
  std::vector<std::thread> threads;
  for (at::Tensor& row : rows) {
    threads.emplace_back([&] { row = decoder->embed(some_ids(1)); });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }

  for (const at::Tensor& row : rows) {
    EXPECT_TRUE(at::equal(row, rows.front()));
  }
}

TEST_F(LlamaDecoderTest, KeepsItsWeightsWhenTheFileIsReplaced) {
  const auto decoder = load();
  const at::Tensor before = decoder->forward(decoder->embed(some_ids(4)));
  for (auto& [name, tensor] : tiny.tensors) {
    tensor = at::zeros_like(tensor);
  }

  load();

  EXPECT_EQ(worst_difference(decoder->forward(decoder->embed(some_ids(4))), before), 0.0);
}

}  // namespace
}  // namespace refrag

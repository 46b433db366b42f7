#include "bench/costs.h"

#include <gtest/gtest.h>

namespace refrag::bench {
namespace {

/// LLaMA-2's proportions, for which the paper counts: as many key and value heads as heads, and feed-forward matrices
/// that make 24·d² operations a position of a layer.
DecoderShape llama2_like() {
  return {.name = "llama2-7b",
          .layers = 32,
          .width = 4096,
          .heads = 32,
          .kv_heads = 32,
          .head_dim = 128,
          .ffn_width = 11008,
          .vocab_size = 32000};
}

OperationRates equal_rates() {
  return {1e12, [](double) { return 1e12; }};
}

TEST(PaperIdeal, GivesTheFiguresOfThePapersFormula) {
  EXPECT_NEAR(paper_ideal_ratio(4096, 16384, 16), 25.6, 0.05);
  EXPECT_NEAR(paper_ideal_ratio(4096, 16384, 32), 52.2, 0.05);
}

TEST(PaperIdeal, GrowsFromKToKSquaredWithTheContext) {
  EXPECT_NEAR(paper_ideal_ratio(4096, 16, 16), 16, 0.1);
  EXPECT_NEAR(paper_ideal_ratio(4096, 1e9, 16), 256, 0.1);
}

TEST(Operations, OfAPrefillAreThoseOfItsMatrices) {
  const DecoderShape shape{
      .name = "", .layers = 2, .width = 8, .heads = 4, .kv_heads = 2, .head_dim = 3, .ffn_width = 10, .vocab_size = 50};
  const Operations operations = prefill_operations(shape, 5);
  const double weights =
      8 * (4 * 3) + 2 * 8 * (2 * 3) + (4 * 3) * 8 + 3 * 8 * 10;  // q, k and v, o, the three of SwiGLU
  EXPECT_EQ(operations.linear, 2 * 2 * 5 * weights);
  EXPECT_EQ(operations.attention, 2 * 4 * (5 * 6 / 2) * 4 * 3);  // pairs that a causal mask leaves
  EXPECT_EQ(operations.sum(), operations.linear + operations.attention);
  EXPECT_EQ(weights_a_token(shape), 2 * weights + 50 * 8);
  EXPECT_EQ(kv_bytes_a_position(shape, 2), 2 * 2 * 2 * 3 * 2);
}

TEST(Operations, OfAnEncoderCountEveryPairOfAChunk) {
  const EncoderShape shape{.name = "", .layers = 3, .width = 4, .ffn_width = 6};
  const Operations operations = encode_operations(shape, 7, 5);
  EXPECT_EQ(operations.linear, 3 * 7 * 2 * 5 * (4 * 16 + 2 * 4 * 6));
  EXPECT_EQ(operations.attention, 3 * 7 * 4 * 25 * 4);
}

TEST(Ideal, AtEqualRatesIsNearThePapers) {
  const DecoderShape shape = llama2_like();
  const double full = ideal_prefill_ms(shape, 16384, equal_rates());
  const double compressed = ideal_prefill_ms(shape, 1024, equal_rates());
  // We count a causal mask's half of the pairs, the paper all of them: its ratio is the higher one.
  EXPECT_LT(full / compressed, paper_ideal_ratio(4096, 16384, 16));
  EXPECT_GT(full / compressed, 20);
}

TEST(Ideal, RisesWhereLongAttentionIsSlow) {
  const DecoderShape shape = llama2_like();
  const OperationRates slow{1e12, [](double positions) { return positions > 4096 ? 2e11 : 1e12; }};
  const auto ratio = [&](const OperationRates& rates) {
    return ideal_prefill_ms(shape, 16384, rates) / ideal_prefill_ms(shape, 1024, rates);
  };
  EXPECT_GT(ratio(slow), 1.5 * ratio(equal_rates()));
}

TEST(Ideal, OfEncodingIsItsOperationsAtTheLinearRate) {
  const EncoderShape shape{.name = "", .layers = 3, .width = 4, .ffn_width = 6};
  EXPECT_DOUBLE_EQ(ideal_encode_ms(shape, 7, 5, equal_rates()), encode_operations(shape, 7, 5).sum() / 1e9);
}

TEST(PaperMeasured, IsKnownForTheContextsThatThePaperGives) {
  EXPECT_EQ(paper_measured_ratio(16384, 16, true), 16.53);
  EXPECT_EQ(paper_measured_ratio(16384, 16, false), 8.59);
  EXPECT_EQ(paper_measured_ratio(16384, 32, true), 30.85);
  EXPECT_EQ(paper_measured_ratio(16384, 32, false), 0);
  EXPECT_EQ(paper_measured_ratio(2048, 16, true), 0);
}

TEST(Scale, LeavesWhatIsOutsideTheLayers) {
  EXPECT_EQ(scale_to_layers(100, 20, 4, 32), 20 + 80 * 8);
  EXPECT_EQ(scale_to_layers(100, 20, 32, 32), 100);
  EXPECT_EQ(scale_to_layers(10, 20, 4, 32), 10);  // nothing is left for the layers
}

}  // namespace
}  // namespace refrag::bench

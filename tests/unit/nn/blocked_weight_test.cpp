#include "nn/blocked_weight.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <vector>

#include "nn/linear.h"

namespace refrag::nn {
namespace {

double worst_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a - b).abs().amax().item<double>();
}

TEST(BlockedWeightTest, GivesTheProductsOfThePlainWeight) {
  if (!at::globalContext().hasMKLDNN()) GTEST_SKIP() << "libtorch is without oneDNN";
  at::manual_seed(3);
  for (const auto& [outputs, inputs] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{64, 32}, {37, 51}, {1, 24}}) {
    Linear layer{at::randn({outputs, inputs}), at::randn({outputs})};
    const Linear plain = layer;
    layer.lay_out(WeightLayout::kBlocked);
    ASSERT_NE(layer.blocked, nullptr);
    for (const std::int64_t rows : {1, 2, 7, 130}) {
      const at::Tensor x = at::randn({rows, inputs});
      EXPECT_LT(worst_difference(layer(x), plain(x)), 2e-5) << rows << " rows of " << outputs << " x " << inputs;
    }
  }
}

TEST(BlockedWeightTest, IsAsExactAsBf16WhereThereIsOneOfIt) {
  const at::Tensor weight = at::randn({40, 96}).to(at::kBFloat16);
  const auto blocked = BlockedWeight::of(weight);
  if (blocked == nullptr) GTEST_SKIP() << "no bf16 products on this processor";
  const at::Tensor x = at::randn({5, 96}).to(at::kBFloat16);

  const at::Tensor found = blocked->linear(x, {});

  EXPECT_EQ(found.scalar_type(), at::kBFloat16);
  EXPECT_LT(worst_difference(found.to(at::kFloat), at::matmul(x.to(at::kFloat), weight.to(at::kFloat).t())), 0.15);
}

TEST(BlockedWeightTest, StandsInThePlainWeightsPlace) {
  Linear layer{at::randn({8, 16}), {}};
  const bool has_blocks = BlockedWeight::of(layer.weight) != nullptr;
  layer.lay_out(WeightLayout::kBlocked);

  EXPECT_EQ(layer.blocked != nullptr, has_blocks);
  EXPECT_EQ(layer.weight.defined(), !has_blocks);
}

TEST(BlockedWeightTest, TakesBatchesViewsAndNoRowsAtAll) {
  if (!at::globalContext().hasMKLDNN()) GTEST_SKIP() << "libtorch is without oneDNN";
  Linear layer{at::randn({8, 16}), at::randn({8})};
  const Linear plain = layer;
  layer.lay_out(WeightLayout::kBlocked);
  ASSERT_NE(layer.blocked, nullptr);
  const at::Tensor x = at::randn({2, 3, 32});

  EXPECT_LT(worst_difference(layer(x.slice(2, 0, 32, 2)), plain(x.slice(2, 0, 32, 2))), 1e-5);
  EXPECT_EQ(layer(at::empty({0, 16})).sizes(), (std::vector<std::int64_t>{0, 8}));
}

TEST(BlockedWeightTest, IsNotMadeOfOtherDtypes) {
  EXPECT_EQ(BlockedWeight::of(at::ones({4, 4}, at::kDouble)), nullptr);
}

}  // namespace
}  // namespace refrag::nn

#include "nn/norms.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "nn/embedding.h"
#include "nn/linear.h"

namespace refrag::nn {
namespace {

double worst_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

TEST(RmsNormTest, EqualsTheFormulaInDoublePrecision) {
  at::manual_seed(1);
  const at::Tensor x = at::randn({7, 48}) * 5;
  const at::Tensor weight = at::randn({48});
  const at::Tensor wide = x.to(at::kDouble);

  const at::Tensor expected = wide / at::sqrt(wide.square().mean(-1, true) + 1e-6) * weight.to(at::kDouble);

  EXPECT_LT(worst_difference(RmsNorm{weight, 1e-6}(x), expected), 2e-6);
}

TEST(RmsNormTest, TakesTheMeanInFp32WhereTheInputIsBf16) {
  at::manual_seed(2);
  const at::Tensor x = (at::randn({3, 512}) * 100).to(at::kBFloat16);
  const at::Tensor weight = at::ones({512}, at::kBFloat16);

  const at::Tensor expected = RmsNorm{at::ones({512}), 1e-6}(x.to(at::kFloat)).to(at::kBFloat16);

  EXPECT_EQ(RmsNorm({weight, 1e-6})(x).scalar_type(), at::kBFloat16);
  EXPECT_EQ(worst_difference(RmsNorm{weight, 1e-6}(x), expected), 0.0);
}

TEST(LayerNormTest, EqualsTheFormulaInDoublePrecision) {
  at::manual_seed(3);
  const at::Tensor x = at::randn({2, 5, 32}) + 3;
  const at::Tensor weight = at::randn({32});
  const at::Tensor bias = at::randn({32});
  const at::Tensor wide = x.to(at::kDouble);
  const at::Tensor centred = wide - wide.mean(-1, true);

  const at::Tensor expected =
      centred / at::sqrt(centred.square().mean(-1, true) + 1e-5) * weight.to(at::kDouble) + bias.to(at::kDouble);

  EXPECT_LT(worst_difference(LayerNorm{weight, bias, 1e-5}(x), expected), 3e-6);
}

TEST(LinearTest, MultipliesByTheTransposedWeightAndAddsTheBiasWhereThereIsOne) {
  const at::Tensor weight = at::arange(6, at::kFloat).view({2, 3});
  const at::Tensor bias = at::tensor({10.0F, 20.0F});
  const at::Tensor x = at::tensor({1.0F, 1.0F, 2.0F});

  EXPECT_EQ(worst_difference(Linear({weight, {}})(x), at::tensor({5.0F, 17.0F})), 0.0);
  EXPECT_EQ(worst_difference(Linear({weight, bias})(x), at::tensor({15.0F, 37.0F})), 0.0);
}

TEST(EmbeddingTest, TakesRowsOfItsTable) {
  const at::Tensor table = at::arange(8, at::kFloat).view({4, 2});

  EXPECT_EQ(worst_difference(Embedding({table})(at::tensor({3, 0}, at::kLong)),
                             at::tensor({6.0F, 7.0F, 0.0F, 1.0F}).view({2, 2})),
            0.0);
}

}  // namespace
}  // namespace refrag::nn

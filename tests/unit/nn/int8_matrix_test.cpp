#include "nn/int8_matrix.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "nn/int8_kernel.h"
#include "nn/linear.h"

namespace refrag::nn {
namespace {

/// Activations as LLaMA has them: a few columns are a thousand times as large as the others.
at::Tensor outlier_rows(std::int64_t rows, std::int64_t inputs) {
  at::Tensor x = at::randn({rows, inputs});
  x.select(1, 3).mul_(1000);
  x.select(1, inputs - 1).mul_(-300);
  return x;
}

/// Each weight's step, [out, in]: a 127th of the largest weight of its group, which bf16 rounds by 2^-9 of itself.
at::Tensor weight_steps(const at::Tensor& weight) {
  std::vector<at::Tensor> steps;
  for (const at::Tensor& group : weight.split(kInt8Group, 1)) {
    steps.push_back((group.abs().amax(1, /*keepdim=*/true) * (1 + 1.0 / 256) / 127).expand_as(group));
  }
  return at::cat(steps, 1);
}

/// The most that products may be off: each weight by half a step of its group's scale, each activation by half a step
/// of its row's, and `relative` of all terms for what the dtype of the computation rounds.
at::Tensor error_bound(const at::Tensor& x, const at::Tensor& weight, double relative) {
  const at::Tensor steps = weight_steps(weight);                          // [out, in]
  const at::Tensor row_step = x.abs().amax(1, /*keepdim=*/true) / 32767;  // [n, 1]
  const at::Tensor by_weights = x.abs().matmul(steps.t()) / 2;            // [n, out]
  const at::Tensor by_rows = row_step / 2 * (weight.abs().sum(1) + steps.sum(1) / 2);
  return by_weights + by_rows + relative * x.abs().matmul(weight.abs().t());
}

TEST(Int8MatrixTest, ProductsOfFewAndManyRowsStayWithinTheBoundOfTheirRounding) {
  at::manual_seed(1);
  for (const auto& [outputs, inputs] : {std::pair{67, 192}, {9, 4800}, {1500, 100}}) {
    const at::Tensor weight = at::randn({outputs, inputs}) * at::rand({outputs, 1});
    const at::Tensor bias = at::randn({outputs});
    const auto int8 = Int8Matrix::of(weight);
    for (const std::int64_t rows : {1, 3, 16, 64}) {
      const at::Tensor x = outlier_rows(rows, inputs);
      const at::Tensor exact = x.to(at::kDouble).matmul(weight.to(at::kDouble).t()) + bias;
      const at::Tensor error = (int8->linear(x, bias).to(at::kDouble) - exact).abs();
      EXPECT_EQ((error > error_bound(x, weight, 1e-5)).sum().item<std::int64_t>(), 0) << rows << " rows";
      EXPECT_GT(error.max().item<double>(), 0) << "nothing was rounded";
    }
  }
}

TEST(Int8MatrixTest, AGroupOfLargeWeightsTakesNothingFromTheOthers) {
  at::manual_seed(5);
  const at::Tensor weight = at::randn({40, 200});  // three groups and a shorter one
  weight.narrow(1, 0, kInt8Group).mul_(1000);
  const auto int8 = Int8Matrix::of(weight);

  const at::Tensor error = (int8->dequantized() - weight).abs();
  EXPECT_EQ((error > weight_steps(weight) / 2).sum().item<std::int64_t>(), 0);
  for (const std::int64_t rows : {1, 64}) {  // products of the other groups alone
    const at::Tensor x = at::randn({rows, 200});
    x.narrow(1, 0, kInt8Group).zero_();
    const at::Tensor exact = x.to(at::kDouble).matmul(weight.to(at::kDouble).t());
    const at::Tensor off = (int8->linear(x, {}).to(at::kDouble) - exact).abs();
    const at::Tensor others = weight.clone();
    others.narrow(1, 0, kInt8Group).zero_();
    EXPECT_EQ((off > error_bound(x, others, 1e-5)).sum().item<std::int64_t>(), 0) << rows << " rows";
  }
}

TEST(Int8MatrixTest, RoundsActivationsFinerThanAnOutlierWouldAllowInEightBits) {
  at::manual_seed(2);
  const at::Tensor weight = at::randn({40, 256});
  const auto int8 = Int8Matrix::of(weight);
  at::Tensor x = at::randn({2, 256});
  x.select(1, 0).fill_(300);  // a step of eight bits would be 2.4: nothing of the other columns would be left
  at::Tensor without = x.clone();
  without.select(1, 0).zero_();
  const at::Tensor others =
      int8->linear(x, {}) - int8->dequantized().select(1, 0) * 300;  // what the other columns give
  const at::Tensor expected = without.matmul(int8->dequantized().t());
  EXPECT_LT((others - expected).norm().item<double>(), 0.01 * expected.norm().item<double>());
}

TEST(Int8MatrixTest, OfBf16StaysWithinBf16sRounding) {
  at::manual_seed(3);
  const at::Tensor weight = at::randn({30, 320}).to(at::kBFloat16);
  const at::Tensor bias = at::randn({30}).to(at::kBFloat16);
  Linear linear{weight, bias};
  linear.lay_out(WeightLayout::kInt8);
  EXPECT_FALSE(linear.weight.defined());
  for (const std::int64_t rows : {1, 64}) {
    const at::Tensor x = at::randn({rows, 320}).to(at::kBFloat16);
    const at::Tensor y = linear(x);
    EXPECT_EQ(y.scalar_type(), at::kBFloat16);
    const at::Tensor exact =
        at::linear(x.to(at::kDouble), linear.int8->dequantized().to(at::kDouble), bias.to(at::kDouble));
    // Of the weights that GEMM reads, of the product and of the sum: each by 2^-9 of itself at most.
    const at::Tensor terms = x.abs().to(at::kDouble).matmul(linear.int8->dequantized().abs().to(at::kDouble).t());
    const at::Tensor rounding = terms + (exact - bias).abs() + exact.abs();
    EXPECT_EQ(((y.to(at::kDouble) - exact).abs() > rounding / 500).sum().item<std::int64_t>(), 0) << rows << " rows";
  }
}

TEST(Int8MatrixTest, AWeightIsOffByHalfAStepAtMostAndZerosStayZeros) {
  const at::Tensor levels = at::arange(-127, 128, at::kFloat).reshape({1, 255});
  const at::Tensor weight = at::cat({levels * 0.5, levels * 0});
  const auto int8 = Int8Matrix::of(weight);
  EXPECT_LT((int8->dequantized() - weight).abs().max().item<double>(), 0.25 * (1 + 1.0 / 64));
  EXPECT_EQ(int8->dequantized()[1].abs().max().item<double>(), 0);
  EXPECT_EQ(int8->linear(at::ones({1, 255}), {})[0][1].item<double>(), 0);
}

TEST(Int8MatrixTest, KeepsLeadingDimensions) {
  const auto int8 = Int8Matrix::of(at::randn({7, 12}));
  EXPECT_EQ(int8->linear(at::randn({2, 3, 12}), {}).sizes(), at::IntArrayRef({2, 3, 7}));
  EXPECT_EQ(int8->linear(at::randn({0, 12}), {}).sizes(), at::IntArrayRef({0, 7}));
  EXPECT_EQ(int8->linear(at::zeros({1, 12}), {}).abs().max().item<double>(), 0);
}

TEST(Int8MatrixTest, NumbersThatAreNotFiniteAreNotHidden) {
  const auto int8 = Int8Matrix::of(at::ones({5, 100}));
  for (const double wrong : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    at::Tensor x = at::ones({2, 100});
    x[1][40] = wrong;
    const at::Tensor y = int8->linear(x, {});
    EXPECT_TRUE(y[0].isfinite().all().item<bool>());
    EXPECT_FALSE(y[1].isfinite().any().item<bool>());
  }
}

/// Operands at their limits, where a narrower sum would overflow, and random ones.
class Int8KernelTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    at::manual_seed(4);
    weights = GetParam() ? at::full({kOutputs, kColumns}, -127, at::kChar)
                         : at::randint(-127, 128, {kOutputs, kColumns}, at::kChar);
    rows = GetParam() ? at::full({kRows, kColumns}, 32767, at::kShort)
                      : at::randint(-32767, 32768, {kRows, kColumns}, at::kShort);
    weight_scales = at::rand({kOutputs, kColumns / kInt8Group}).to(at::kBFloat16);
    row_scales = at::rand({kRows});
  }

  at::Tensor multiply(std::int64_t count, int threads, Instructions instructions) const {
    const at::Tensor products = at::zeros({count, kOutputs});
    const auto* scales = reinterpret_cast<const std::uint16_t*>(weight_scales.const_data_ptr<at::BFloat16>());
    multiply_int8({{weights.const_data_ptr<std::int8_t>(), scales, kOutputs, kColumns},
                   rows.const_data_ptr<std::int16_t>(),
                   row_scales.const_data_ptr<float>(),
                   products.mutable_data_ptr<float>(),
                   count},
                  threads, instructions);
    return products;
  }
  at::Tensor scaled() const {
    return weights.to(at::kDouble) * weight_scales.to(at::kDouble).repeat_interleave(kInt8Group, 1);
  }

  static constexpr std::int64_t kRows = 7;
  static constexpr std::int64_t kOutputs = 11;
  static constexpr std::int64_t kColumns = 5 * kInt8Group;
  at::Tensor weights, rows, weight_scales, row_scales;
};

TEST_P(Int8KernelTest, GivesTheProductsWithAllInstructionsAndThreads) {
  for (int kind = 0; kind <= static_cast<int>(int8_instructions()); ++kind) {
    const auto instructions = static_cast<Instructions>(kind);
    for (const std::int64_t count : {1, 2, 3, 4, 7}) {
      const at::Tensor scaled_rows = (rows.to(at::kDouble) * row_scales.unsqueeze(1)).narrow(0, 0, count);
      const at::Tensor bound = 1e-6 * scaled_rows.abs().matmul(scaled().abs().t());  // fp32 sums of five groups
      const at::Tensor products = multiply(count, 1, instructions);
      const at::Tensor error = (products - scaled_rows.matmul(scaled().t())).abs();
      EXPECT_TRUE(error.le(bound).all().item<bool>()) << count << " rows, instructions " << kind;
      EXPECT_TRUE(products.equal(multiply(count, 3, instructions))) << count << " rows, instructions " << kind;
    }
  }
}

TEST_P(Int8KernelTest, WidensToTheNearestNumbers) {
  const auto* scales = reinterpret_cast<const std::uint16_t*>(weight_scales.const_data_ptr<at::BFloat16>());
  const Int8Weights all{weights.const_data_ptr<std::int8_t>(), scales, kOutputs, kColumns};
  const at::Tensor wide = at::empty({5, kColumns - 9});
  widen_int8(all, 2, 7, kColumns - 9, wide.mutable_data_ptr<float>(), 2);
  const at::Tensor expected = scaled().to(at::kFloat).narrow(0, 2, 5).narrow(1, 0, kColumns - 9);
  EXPECT_TRUE(wide.equal(expected));  // 7 and 8 bits of precision: exact
  const at::Tensor bf16 = at::empty({5, kColumns - 9}, at::kBFloat16);
  widen_int8(all, 2, 7, kColumns - 9, reinterpret_cast<std::uint16_t*>(bf16.mutable_data_ptr<at::BFloat16>()), 1);
  EXPECT_TRUE(bf16.equal(expected.to(at::kBFloat16)));
}

INSTANTIATE_TEST_SUITE_P(Operands, Int8KernelTest, ::testing::Values(false, true));

}  // namespace
}  // namespace refrag::nn

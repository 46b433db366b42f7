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
    // Of the product and of the sum, each by 2^-8 of itself at most; of activations by half a step of their row.
    const at::Tensor sums = linear.int8->dequantized().abs().sum(1).to(at::kDouble);
    const at::Tensor by_rows = x.abs().amax(1, /*keepdim=*/true).to(at::kDouble) / 32767 / 2 * sums;
    const at::Tensor rounding = ((exact - bias).abs() + exact.abs()) / 250 + by_rows;
    EXPECT_EQ(((y.to(at::kDouble) - exact).abs() > rounding).sum().item<std::int64_t>(), 0) << rows << " rows";
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
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      at::Tensor x = at::ones({2, 100}, dtype);
      x[1][40] = wrong;
      const at::Tensor y = int8->linear(x, {});
      EXPECT_TRUE(y[0].isfinite().all().item<bool>());
      EXPECT_FALSE(y[1].isfinite().any().item<bool>());
    }
  }
}

/// Operands at their limits, where a narrower sum would overflow, and random ones.
class Int8KernelTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    at::manual_seed(4);
    weights = GetParam() ? at::full({kBlocks * kInt8Block, kColumns}, -127, at::kChar)
                         : at::randint(-127, 128, {kBlocks * kInt8Block, kColumns}, at::kChar);
    rows = GetParam() ? at::full({kRows, kColumns}, 32767, at::kShort)
                      : at::randint(-32767, 32768, {kRows, kColumns}, at::kShort);
    weight_scales = at::rand({kBlocks * kInt8Block, kColumns / kInt8Group}).to(at::kBFloat16);
    row_scales = at::rand({kRows});
    laid_out = weights.view({kBlocks, kInt8Block, kColumns / 2, 2}).transpose(1, 2).contiguous();
    laid_out_scales = weight_scales.view({kBlocks, kInt8Block, -1}).transpose(1, 2).contiguous();
  }

  at::Tensor multiply(std::int64_t count, at::ScalarType dtype, int threads, Instructions instructions) const {
    const at::Tensor products = at::zeros({count, kOutputs}, dtype);
    multiply_int8(
        {laid_out.const_data_ptr<std::int8_t>(),
         reinterpret_cast<const std::uint16_t*>(laid_out_scales.const_data_ptr<at::BFloat16>()), kOutputs, kColumns},
        {rows.const_data_ptr<std::int16_t>(), row_scales.const_data_ptr<float>(), count}, products.mutable_data_ptr(),
        dtype == at::kFloat ? Numbers::kFp32 : Numbers::kBf16, threads, instructions);
    return products;
  }
  at::Tensor scaled() const {
    const at::Tensor wide = weight_scales.to(at::kDouble).repeat_interleave(kInt8Group, 1);
    return (weights.to(at::kDouble) * wide).narrow(0, 0, kOutputs);
  }

  static constexpr std::int64_t kRows = 19;
  static constexpr std::int64_t kBlocks = 3;
  static constexpr std::int64_t kOutputs = 71;  // the last block is filled up
  static constexpr std::int64_t kColumns = 5 * kInt8Group;
  at::Tensor weights, rows, weight_scales, row_scales, laid_out, laid_out_scales;
};

TEST_P(Int8KernelTest, GivesTheProductsWithAllInstructionsAndThreads) {
  for (int kind = 0; kind <= static_cast<int>(int8_instructions()); ++kind) {
    const auto instructions = static_cast<Instructions>(kind);
    const at::Tensor of_all = multiply(kRows, at::kFloat, 1, instructions);
    for (const std::int64_t count : {1, 2, 3, 4, 5, 6, 7, 8, 19}) {
      const at::Tensor scaled_rows = (rows.to(at::kDouble) * row_scales.unsqueeze(1)).narrow(0, 0, count);
      const at::Tensor bound = 1e-6 * scaled_rows.abs().matmul(scaled().abs().t());  // fp32 sums of five groups
      const at::Tensor products = multiply(count, at::kFloat, 1, instructions);
      const at::Tensor error = (products - scaled_rows.matmul(scaled().t())).abs();
      EXPECT_TRUE(error.le(bound).all().item<bool>()) << count << " rows, instructions " << kind;
      EXPECT_TRUE(products.equal(multiply(count, at::kFloat, 3, instructions))) << count << " rows, " << kind;
      EXPECT_TRUE(products.equal(of_all.narrow(0, 0, count))) << count << " rows, instructions " << kind;
      const at::Tensor bf16 = multiply(count, at::kBFloat16, 1, instructions);
      EXPECT_TRUE(bf16.equal(products.to(at::kBFloat16))) << count << " rows, instructions " << kind;
    }
  }
}

TEST_P(Int8KernelTest, RoundsRowsToTheNearestStepOfTheirLargest) {
  const at::Tensor x = GetParam() ? at::full({5, 100}, -3.5) : at::randn({5, 100});
  for (int kind = 0; kind <= static_cast<int>(int8_instructions()); ++kind) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      const at::Tensor given = x.to(dtype);
      const at::Tensor values = at::full({5, 128}, 99, at::kShort);
      const at::Tensor scales = at::empty({5});
      round_rows(given.const_data_ptr(), dtype == at::kFloat ? Numbers::kFp32 : Numbers::kBf16, 5, 100, 128,
                 values.mutable_data_ptr<std::int16_t>(), scales.mutable_data_ptr<float>(), 2,
                 static_cast<Instructions>(kind));
      EXPECT_EQ(values.narrow(1, 100, 28).abs().max().item<int>(), 0);
      EXPECT_EQ(values.abs().amax(1).min().item<int>(), 32767);
      const at::Tensor error = (values.narrow(1, 0, 100) * scales.unsqueeze(1) - given.to(at::kFloat)).abs();
      EXPECT_TRUE(error.le(0.501 * scales.unsqueeze(1)).all().item<bool>()) << "instructions " << kind;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Operands, Int8KernelTest, ::testing::Values(false, true));

}  // namespace
}  // namespace refrag::nn

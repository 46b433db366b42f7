#include "nn/fused.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/variable.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "nn/cpu/threads.h"
#include "nn/flash_attention.h"
#include "nn/rotary.h"

namespace refrag::nn {
namespace {

constexpr double kEps = 1e-5;

/// The worst difference of a number as a part of that number, or of its `terms` where it is a sum that may cancel. What
/// is not finite must be the same infinity, or no number at all, in both.
double relative_difference(const at::Tensor& found, const at::Tensor& expected, const at::Tensor& terms = {}) {
  EXPECT_EQ(found.sizes(), expected.sizes());
  EXPECT_EQ(found.scalar_type(), expected.scalar_type());
  const at::Tensor a = found.to(at::kDouble);
  const at::Tensor b = expected.to(at::kDouble);
  const at::Tensor finite = at::isfinite(b);
  EXPECT_TRUE(at::isfinite(a).equal(finite));
  EXPECT_TRUE(at::isnan(a).equal(at::isnan(b)));
  EXPECT_TRUE(a.masked_select(at::isinf(b)).equal(b.masked_select(at::isinf(b))));
  const at::Tensor both = finite.logical_and(at::isfinite(a));
  const at::Tensor scale = (terms.defined() ? terms : b).to(at::kDouble).abs().clamp_min(1e-30);
  return ((a - b).abs() / scale).masked_select(both).amax().item<double>();
}

/// Of relative_difference. fp32: sums in another order, and exponentials to a few units of the last place. bf16: what
/// is rounded between two products lies one step (2^-7) away where it is between two numbers, and the result another.
double bound_of(at::ScalarType dtype) { return dtype == at::kFloat ? 2e-6 : 1.0 / 64; }

// What a plain model computes, an operation after another.
at::Tensor plain_norm(const at::Tensor& x, const at::Tensor& weight) {
  const at::Tensor wide = x.to(at::kFloat);
  return weight * (wide * at::rsqrt(wide.square().mean(-1, true) + kEps)).to(x.scalar_type());
}
at::Tensor plain_swiglu(const at::Tensor& gate_up) {
  const std::vector<at::Tensor> halves = gate_up.chunk(2, -1);
  return at::silu(halves[0]) * halves[1];
}
at::Tensor plain_rotation(const at::Tensor& x, const Rotation& rotation) {
  const std::vector<at::Tensor> halves = x.to(at::kFloat).chunk(2, -1);
  return at::cat({halves[0] * rotation.cosines - halves[1] * rotation.sines,
                  halves[1] * rotation.cosines + halves[0] * rotation.sines},
                 -1)
      .to(x.scalar_type());
}
/// What each number of a rotation is the sum of.
at::Tensor rotation_terms(const at::Tensor& x, const Rotation& rotation) {
  const std::vector<at::Tensor> halves = x.to(at::kFloat).abs().chunk(2, -1);
  const at::Tensor cosines = rotation.cosines.abs();
  const at::Tensor sines = rotation.sines.abs();
  return at::cat({halves[0] * cosines + halves[1] * sines, halves[1] * cosines + halves[0] * sines}, -1);
}

struct Case {
  at::ScalarType dtype;
  std::int64_t rows;
  std::int64_t width;
};

class FusedTest : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override { at::manual_seed(1); }
  at::Tensor some(at::IntArrayRef shape) const { return (at::randn(shape) * 3).to(GetParam().dtype); }
  double bound() const { return bound_of(GetParam().dtype); }
};

TEST_P(FusedTest, NormEqualsThePlainOne) {
  const auto [dtype, rows, width] = GetParam();
  const at::Tensor x = some({rows, width});
  const at::Tensor weight = some({width});

  EXPECT_LT(relative_difference(rms_norm(x, weight, kEps), plain_norm(x, weight)), bound());
}

TEST_P(FusedTest, SumAndItsNormEqualThePlainOnes) {
  const auto [dtype, rows, width] = GetParam();
  const at::Tensor x = some({rows, width});
  const at::Tensor added = some({rows, width});
  const at::Tensor weight = some({width});

  const SumAndNorm found = add_and_norm(x, added, weight, kEps);

  EXPECT_TRUE(found.sum.equal(x + added));
  EXPECT_LT(relative_difference(found.norm, plain_norm(x + added, weight)), bound());
}

TEST_P(FusedTest, SwigluEqualsThePlainOne) {
  const auto [dtype, rows, width] = GetParam();
  const at::Tensor gate_up = some({rows, 2 * width}) * 4;

  EXPECT_LT(relative_difference(swiglu(gate_up), plain_swiglu(gate_up)), bound());
}

TEST_P(FusedTest, RotationEqualsThePlainOneOfHeadsThatStandBesideOthers) {
  const auto [dtype, rows, width] = GetParam();
  RotaryConfig config;
  config.head_dim = 2 * width;
  const Rotation rotation = Rotary(config, at::kCPU).at(at::arange(5, 5 + rows));
  const at::Tensor x = some({rows, 7, 2 * width}).narrow(1, 2, 3);

  EXPECT_LT(relative_difference(rotation(x), plain_rotation(x, rotation), rotation_terms(x, rotation)), bound());
}

TEST_P(FusedTest, RotationWritesHeadsWhereTheyBelong) {
  const auto [dtype, rows, width] = GetParam();
  RotaryConfig config;
  config.head_dim = 2 * width;
  const Rotation rotation = Rotary(config, at::kCPU).at(at::arange(rows));
  const at::Tensor x = some({rows, 3, 2 * width});
  if (kernels_for(x) == nullptr) GTEST_SKIP() << "no loops for this processor";
  const at::Tensor slab = at::zeros({3, rows + 4, 2 * width}, x.options());

  rotate_into(x, rotation.cosines, rotation.sines, slab.narrow(1, 2, rows).transpose(0, 1));

  EXPECT_TRUE(slab.narrow(1, 2, rows).transpose(0, 1).equal(rotation(x)));
  EXPECT_EQ(slab.narrow(1, 0, 2).abs().sum().item<double>(), 0);
  EXPECT_EQ(slab.narrow(1, rows + 2, 2).abs().sum().item<double>(), 0);
}

TEST_P(FusedTest, WhatIsNoNumberAndInfinitiesPassAsInThePlainOnes) {
  const auto [dtype, rows, width] = GetParam();
  const float infinity = std::numeric_limits<float>::infinity();
  const at::Tensor x = some({rows, width});
  x[0][width - 1] = std::nanf("");
  x[rows - 1][0] = infinity;
  const at::Tensor weight = some({width});
  const at::Tensor gate_up = some({rows, 2 * width});
  gate_up[0][width - 1] = std::nanf("");
  gate_up[rows - 1][0] = infinity;
  gate_up[rows - 1][2 * width - 1] = -infinity;

  EXPECT_LT(relative_difference(at::nan_to_num(rms_norm(x, weight, kEps)), at::nan_to_num(plain_norm(x, weight))),
            bound());
  EXPECT_TRUE(at::isnan(rms_norm(x, weight, kEps)).equal(at::isnan(plain_norm(x, weight))));
  EXPECT_LT(relative_difference(swiglu(gate_up), plain_swiglu(gate_up)), bound());
}

TEST_P(FusedTest, SwigluHoldsWhereGatesAreFarFromZero) {
  const auto [dtype, rows, width] = GetParam();
  const at::Tensor gates = at::linspace(-300, 300, width).to(dtype).expand({rows, width});
  const at::Tensor gate_up = at::cat({gates, at::ones_like(gates)}, 1);

  EXPECT_LT(relative_difference(swiglu(gate_up), plain_swiglu(gate_up)), bound());
}

INSTANTIATE_TEST_SUITE_P(Shapes, FusedTest,
                         ::testing::Values(Case{at::kFloat, 1, 64}, Case{at::kFloat, 3, 37}, Case{at::kFloat, 200, 48},
                                           Case{at::kFloat, 70, 1001}, Case{at::kBFloat16, 1, 64},
                                           Case{at::kBFloat16, 3, 37}, Case{at::kBFloat16, 200, 48},
                                           Case{at::kBFloat16, 70, 1001}),
                         [](const auto& info) {
                           return std::string(at::toString(info.param.dtype)) + std::to_string(info.param.rows) + "x" +
                                  std::to_string(info.param.width);
                         });

TEST(FusedFallbackTest, GradientsPassWhereTheyAreAskedFor) {
  const at::Tensor x = at::randn({4, 16}).requires_grad_(true);
  const at::Tensor weight = at::randn({16}).requires_grad_(true);

  (add_and_norm(x, at::ones_like(x), weight, kEps).norm.sum() + swiglu(x).sum()).backward();

  EXPECT_TRUE(x.grad().defined());
  EXPECT_TRUE(weight.grad().defined());
}

TEST(FusedFallbackTest, OtherDtypesAndMixedOnesAreComputedPlainly) {
  const at::Tensor x = at::randn({4, 16}, at::kDouble);
  const at::Tensor weight = at::randn({16});

  EXPECT_EQ(kernels_for(x), nullptr);
  EXPECT_TRUE(swiglu(x).equal(plain_swiglu(x)));
  EXPECT_TRUE(rms_norm(x.to(at::kBFloat16), weight, kEps).equal(plain_norm(x.to(at::kBFloat16), weight)));
}

TEST(FusedFallbackTest, NoRowsGiveNoRows) {
  EXPECT_EQ(rms_norm(at::empty({0, 8}), at::ones({8}), kEps).sizes(), (std::vector<std::int64_t>{0, 8}));
  EXPECT_EQ(swiglu(at::empty({0, 8})).sizes(), (std::vector<std::int64_t>{0, 4}));
}

// Every set of instructions that this processor has, not only the best one.
class CpuKernelsTest : public ::testing::TestWithParam<const CpuKernelSet* (*)()> {
 protected:
  void SetUp() override {
    if (GetParam()() == nullptr) GTEST_SKIP() << "not on this processor";
    at::manual_seed(2);
  }
  const CpuKernels& of(at::ScalarType dtype) const {
    return dtype == at::kFloat ? GetParam()()->fp32 : GetParam()()->bf16;
  }
};

TEST_P(CpuKernelsTest, RowsEqualThePlainOnes) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const double bound = bound_of(dtype);
    const at::Tensor x = at::randn({5, 53}).to(dtype);
    const at::Tensor weight = at::randn({53}).to(dtype);
    const at::Tensor normed = at::empty_like(x);
    of(dtype).rms_norm({x.data_ptr(), nullptr, weight.data_ptr(), nullptr, normed.data_ptr(), 5, 53, 1e-5F});
    EXPECT_LT(relative_difference(normed, plain_norm(x, weight)), bound);

    const at::Tensor gate_up = at::linspace(-120, 120, 5 * 106).view({5, 106}).to(dtype);
    const at::Tensor gated = at::empty({5, 53}, dtype);
    of(dtype).swiglu({gate_up.data_ptr(), gated.data_ptr(), 5, 53});
    EXPECT_LT(relative_difference(gated, plain_swiglu(gate_up)), bound);
  }
}

TEST_P(CpuKernelsTest, OneHeadsAttentionEqualsTheFormula) {
  constexpr std::int64_t kRows = 20;
  constexpr std::int64_t kPast = 150;
  constexpr std::int64_t kWidth = 32;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    if (of(dtype).attend == nullptr) continue;
    const at::Tensor q = at::randn({kRows, 2, kWidth}).to(dtype);
    const at::Tensor keys = at::randn({kPast + kRows, kWidth}).to(dtype);
    const at::Tensor values = at::randn({kPast + kRows, kWidth}).to(dtype);
    const at::Tensor out = at::empty_like(q);
    AttentionPart part{q.data_ptr(),
                       keys.data_ptr(),
                       values.data_ptr(),
                       out.data_ptr(),
                       2 * kWidth,
                       kWidth,
                       2 * kWidth,
                       2,
                       kPast,
                       kWidth,
                       1.0F,
                       0,
                       2 * kRows};
    part.scale = static_cast<float>(1.4426950408889634 / std::sqrt(static_cast<double>(kWidth)));
    std::vector<std::byte> scratch(static_cast<std::size_t>(attention_scratch(2 * kRows, kWidth)));
    of(dtype).attend(part, scratch.data());

    const at::Tensor hidden = at::ones({kRows, kPast + kRows}, at::kBool).tril(kPast).logical_not();
    const at::Tensor scores = at::matmul(q.to(at::kDouble).transpose(0, 1), keys.to(at::kDouble).t()) /
                              std::sqrt(static_cast<double>(kWidth));
    const at::Tensor expected =
        at::matmul(scores.masked_fill(hidden, -INFINITY).softmax(-1), values.to(at::kDouble)).transpose(0, 1);
    EXPECT_LT((out.to(at::kDouble) - expected).abs().amax().item<double>(), dtype == at::kFloat ? 2e-6 : 0.01);
  }
}

INSTANTIATE_TEST_SUITE_P(Instructions, CpuKernelsTest, ::testing::Values(&kernels_with_avx512, &kernels_with_avx2));

TEST(FlashAttentionTest, LeavesGradientsAndOddHeadsToOthers) {
  const at::Tensor q = at::randn({4, 2, 64}).requires_grad_(true);
  const at::Tensor keys = at::randn({2, 4, 64});

  EXPECT_FALSE(flash_attention(q, keys, keys).defined());
  EXPECT_FALSE(flash_attention(at::randn({4, 2, 12}), at::randn({2, 4, 12}), at::randn({2, 4, 12})).defined());
}

TEST(FlashAttentionTest, OfARowThatIsNoNumberIsNoNumberAndLeavesTheOthersAlone) {
  const at::Tensor q = at::randn({9, 2, 64});
  const at::Tensor keys = at::randn({1, 9, 64});
  const at::Tensor values = at::randn({1, 9, 64});
  const at::Tensor expected = flash_attention(q, keys, values);
  if (!expected.defined()) GTEST_SKIP() << "no loops for this processor";
  q[4][1][3] = std::nanf("");

  const at::Tensor out = flash_attention(q, keys, values).view({9, 2, 64});

  EXPECT_TRUE(at::isnan(out[4][1]).all().item<bool>());
  EXPECT_EQ(at::isnan(out).sum().item<std::int64_t>(), 64);
  EXPECT_TRUE(out[8].equal(expected.view({9, 2, 64})[8]));
}

// ---------------------------------------------------------------- threads

std::ptrdiff_t threads_of_this_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}

TEST(ThreadsTest, AreReleasedAndComeBackWithTheNextWork) {
  const auto work_done = [] {
    std::atomic<int> sum = 0;
    run_threads(7, [&](int number) { sum += number; });
    return sum.load();
  };
  setenv("GOMP_SPINCOUNT", "3000", /*overwrite=*/0);  // else they are kept
  const int team = at::get_num_threads();             // which sets what OpenMP takes from here on
  EXPECT_EQ(work_done(), 21);
  const std::ptrdiff_t before = threads_of_this_process();
  release_threads();
  for (int tries = 0; tries < 1000 && threads_of_this_process() > before - (team - 1); ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the last one ends on its own
  }
  EXPECT_EQ(threads_of_this_process(), before - (team - 1));
  EXPECT_EQ(work_done(), 21);
  EXPECT_EQ(threads_of_this_process(), before);
}

}  // namespace
}  // namespace refrag::nn

#include "nn/attention.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/variable.h>

#include <cmath>
#include <utility>
#include <vector>

namespace refrag::nn {
namespace {

struct Heads {
  at::Tensor q;       // [T, H, h]
  at::Tensor keys;    // [G, P + T, h]
  at::Tensor values;  // [G, P + T, h]
};

Heads random_heads(std::int64_t rows, std::int64_t past, std::int64_t heads, std::int64_t groups, std::int64_t width) {
  at::manual_seed(7);
  return {at::randn({rows, heads, width}), at::randn({groups, past + rows, width}),
          at::randn({groups, past + rows, width})};
}

/// The formula with its whole matrix, in double precision.
at::Tensor reference(const Heads& x) {
  const std::int64_t rows = x.q.size(0);
  const std::int64_t queries_per_group = x.q.size(1) / x.keys.size(0);
  const at::Tensor q = x.q.to(at::kDouble).transpose(0, 1);                               // [H, T, h]
  const at::Tensor k = x.keys.to(at::kDouble).repeat_interleave(queries_per_group, 0);    // [H, P + T, h]
  const at::Tensor v = x.values.to(at::kDouble).repeat_interleave(queries_per_group, 0);  // [H, P + T, h]
  const at::Tensor hidden = at::ones({rows, k.size(1)}, at::kBool).tril(k.size(1) - rows).logical_not();
  const at::Tensor scores =
      (at::matmul(q, k.transpose(1, 2)) / std::sqrt(double(q.size(2)))).masked_fill(hidden, -INFINITY);
  return at::matmul(scores.softmax(-1), v).transpose(0, 1).flatten(1).to(at::kFloat);
}

double worst_difference(const at::Tensor& a, const at::Tensor& b) {
  EXPECT_EQ(a.sizes(), b.sizes());
  return (a - b).abs().max().item<double>();
}

struct Shape {
  std::int64_t rows, past, heads, groups, width;
};

class AttendCausalTest : public ::testing::TestWithParam<Shape> {};

TEST_P(AttendCausalTest, EqualsTheFormulaWithItsWholeMatrix) {
  const Shape s = GetParam();
  const Heads x = random_heads(s.rows, s.past, s.heads, s.groups, s.width);
  const at::Tensor expected = reference(x);

  const at::Tensor trained = attend_causal(x.q.clone().requires_grad_(true), x.keys, x.values);
  EXPECT_TRUE(trained.requires_grad());
  EXPECT_LT(worst_difference(trained.detach(), expected), 5e-6);
  const at::NoGradGuard serving;  // takes other ways: our own loops, or two parts where there is a past
  EXPECT_LT(worst_difference(attend_causal(x.q, x.keys, x.values), expected), 5e-6);
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttendCausalTest,
                         ::testing::Values(Shape{1, 0, 4, 2, 16},      // the very first row
                                           Shape{1, 37, 9, 3, 64},     // decoding
                                           Shape{33, 0, 4, 4, 16},     // prefill, a key head a query head
                                           Shape{300, 0, 9, 3, 64},    // prefill, grouped
                                           Shape{2, 1, 4, 1, 8},       // rows behind a past: where is_causal is wrong
                                           Shape{33, 65, 6, 2, 16},    // within one block of rows
                                           Shape{600, 130, 4, 2, 16},  // over several blocks
                                           // Widths that our own loops leave to libtorch, each way of using it:
                                           Shape{1, 37, 9, 3, 12},     // one row
                                           Shape{300, 0, 9, 3, 20},    // causal from the first key on
                                           Shape{300, 130, 4, 2, 12},  // two blocks, or the past and the rows
                                           Shape{7, 201, 6, 2, 128}, Shape{600, 130, 4, 2, 12}));  // three blocks

Heads in_bf16(const Heads& x) { return {x.q.to(at::kBFloat16), x.keys.to(at::kBFloat16), x.values.to(at::kBFloat16)}; }

/// The worst difference from the formula, as a part of what it may be in bf16: each of the shares, the results of two
/// parts and their sum may be rounded by 2^-9 of itself.
double part_of_bf16s_rounding(const at::Tensor& out, const Heads& x) {
  EXPECT_EQ(out.scalar_type(), at::kBFloat16);
  const at::Tensor terms = reference({x.q, x.keys, x.values.abs()});  // [T, H * h]
  const at::Tensor error = (out.to(at::kFloat) - reference(x)).abs();
  return (error / (terms * (3.0 / 512) + 1e-5)).max().item<double>();
}

TEST(AttendCausalTest, IsAsExactAsItsDtypeBehindAPast) {
  const at::NoGradGuard serving;
  for (const std::int64_t width : {32, 64, 96, 128}) {  // our loops take 64 columns at a time, and 16 of the rest
    for (const std::int64_t rows : {1, 7, 131}) {
      for (const std::int64_t past : {0, 200, 201}) {  // keys are multiplied by twos
        const Heads x = in_bf16(random_heads(rows, past, 6, 2, width));
        EXPECT_LE(part_of_bf16s_rounding(attend_causal(x.q, x.keys, x.values), x), 1)
            << rows << " rows of " << width << " behind " << past;
      }
    }
  }
}

/// Keys and values in the first rows of a slab of 64, [2, G, 64, h]; behind them is what must not be read.
at::Tensor slab_of(const Heads& x) {
  const at::Tensor slab = at::full({2, x.keys.size(0), 64, x.keys.size(2)}, NAN, x.keys.options());
  slab[0].narrow(1, 0, x.keys.size(1)).copy_(x.keys);
  slab[1].narrow(1, 0, x.keys.size(1)).copy_(x.values);
  return slab;
}

TEST(AttendCausalTest, ReadsASlabThatHasRoomBehindItsLastRow) {
  const at::NoGradGuard serving;
  const Heads x = random_heads(5, 9, 4, 2, 16);
  const at::Tensor slab = slab_of(x);

  const at::Tensor out = attend_causal(x.q, slab[0].narrow(1, 0, 14), slab[1].narrow(1, 0, 14));

  EXPECT_LT(worst_difference(out, reference(x)), 5e-6);
}

TEST(AttendCausalTest, ReadsNoKeyBehindTheLastWhereBf16IsMultipliedByTwos) {
  const at::NoGradGuard serving;
  for (const std::int64_t rows : {1, 5}) {
    const Heads x = in_bf16(random_heads(rows, 13 - rows, 4, 2, 64));
    const at::Tensor slab = slab_of(x);

    const at::Tensor out = attend_causal(x.q, slab[0].narrow(1, 0, 13), slab[1].narrow(1, 0, 13));

    EXPECT_LE(part_of_bf16s_rounding(out, x), 1) << rows << " rows";
  }
}

TEST(AttendCausalTest, PassesGradientsToQueriesKeysAndValues) {
  const Heads x = random_heads(40, 3, 4, 2, 8);
  const Heads tracked = {x.q.clone().requires_grad_(true), x.keys.clone().requires_grad_(true),
                         x.values.clone().requires_grad_(true)};
  const Heads formula = {x.q.clone().requires_grad_(true), x.keys.clone().requires_grad_(true),
                         x.values.clone().requires_grad_(true)};

  attend_causal(tracked.q, tracked.keys, tracked.values).square().sum().backward();
  reference(formula).square().sum().backward();

  EXPECT_LT(worst_difference(tracked.q.grad(), formula.q.grad()), 1e-4);
  EXPECT_LT(worst_difference(tracked.keys.grad(), formula.keys.grad()), 1e-4);
  EXPECT_LT(worst_difference(tracked.values.grad(), formula.values.grad()), 1e-4);
}

std::vector<std::int64_t> numbers_of(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.to(at::kCPU, at::kLong).contiguous();
  return {plain.const_data_ptr<std::int64_t>(), plain.const_data_ptr<std::int64_t>() + plain.numel()};
}

TEST(PackedRowsTest, SequencesThatFollowAnotherOneSeeItsRowsBeforeTheirOwn) {
  const std::vector<std::pair<std::int64_t, std::int64_t>> sequences = {{3, -1}, {2, 0}, {1, 0}};
  const PackedRows rows = PackedRows::of(sequences, at::kCPU);
  EXPECT_EQ(numbers_of(rows.query_ends), (std::vector<std::int64_t>{0, 3, 5, 6}));
  EXPECT_EQ(numbers_of(rows.key_ends), (std::vector<std::int64_t>{0, 3, 8, 12}));
  EXPECT_EQ(numbers_of(rows.key_rows), (std::vector<std::int64_t>{0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 2, 5}));
  EXPECT_EQ(rows.longest_query, 3);
  EXPECT_EQ(rows.longest_keys, 5);
}

TEST(PackedRowsTest, SequencesOnTheirOwnNeedNoRowsGathered) {
  const std::vector<std::pair<std::int64_t, std::int64_t>> sequences = {{3, -1}, {2, -1}};
  const PackedRows rows = PackedRows::of(sequences, at::kCPU);
  EXPECT_FALSE(rows.key_rows.defined());
  EXPECT_EQ(numbers_of(rows.key_ends), numbers_of(rows.query_ends));
}

TEST(AttendPackedTest, EqualsAttentionOfEachSequence) {
  if (!at::hasCUDA() || !can_pack(at::kCUDA, at::kBFloat16, 64)) GTEST_SKIP() << "there is no GPU with the kernel";
  const Heads x = random_heads(6, 0, 4, 2, 64);
  const at::Tensor k = x.keys.transpose(0, 1).contiguous();  // [6, G, h]
  const at::Tensor v = x.values.transpose(0, 1).contiguous();
  const std::vector<std::pair<std::int64_t, std::int64_t>> sequences = {{3, -1}, {2, 0}, {1, 0}};
  const auto on_gpu = [](const at::Tensor& tensor) { return tensor.to(at::kCUDA, at::kBFloat16); };
  const at::Tensor packed =
      attend_packed(on_gpu(x.q), on_gpu(k), on_gpu(v), PackedRows::of(sequences, at::kCUDA)).to(at::kCPU, at::kFloat);
  const at::Tensor first = attend_causal(x.q.narrow(0, 0, 3), x.keys.narrow(1, 0, 3), x.values.narrow(1, 0, 3));
  const at::Tensor branches = attend_branches(x.q.narrow(0, 3, 3), x.keys, x.values, {2, 1});
  EXPECT_TRUE(at::allclose(packed, at::cat({first, branches}), 0.02, 0.02));
}

TEST(AttendAllTest, PaddingChangesNothing) {
  at::manual_seed(3);
  const at::Tensor q = at::randn({2, 6, 3, 8});
  const at::Tensor k = at::randn({2, 6, 3, 8});
  const at::Tensor v = at::randn({2, 6, 3, 8});
  const at::Tensor mask = at::ones({2, 6}, at::kBool);
  mask[1].narrow(0, 4, 2).fill_(false);

  const at::Tensor together = attend_all(q, k, v, mask);
  const auto alone = [&](std::int64_t row, std::int64_t length) {
    const auto cut = [&](const at::Tensor& x) { return x.narrow(0, row, 1).narrow(1, 0, length); };
    return attend_all(cut(q), cut(k), cut(v), {})[0];
  };

  EXPECT_EQ(together.sizes(), at::IntArrayRef({2, 6, 24}));
  EXPECT_LT(worst_difference(together[0], alone(0, 6)), 1e-6);
  EXPECT_LT(worst_difference(together[1].narrow(0, 0, 4), alone(1, 4)), 1e-6);
}

TEST(AttendAllTest, EqualsTheFormula) {
  at::manual_seed(4);
  const at::Tensor q = at::randn({1, 5, 2, 8});
  const at::Tensor k = at::randn({1, 5, 2, 8});
  const at::Tensor v = at::randn({1, 5, 2, 8});
  const at::Tensor scores = at::matmul(q[0].transpose(0, 1), k[0].permute({1, 2, 0})) / std::sqrt(8.0);  // [H, L, L]

  const at::Tensor expected = at::matmul(scores.softmax(-1), v[0].transpose(0, 1)).transpose(0, 1).flatten(1);

  EXPECT_LT(worst_difference(attend_all(q, k, v, {})[0], expected), 1e-6);
}

}  // namespace
}  // namespace refrag::nn

#include "nn/attention.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/variable.h>

#include <cmath>

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

  EXPECT_LT(worst_difference(attend_causal(x.q, x.keys, x.values), reference(x)), 5e-6);
  const at::NoGradGuard serving;  // takes another way where there is a past
  EXPECT_LT(worst_difference(attend_causal(x.q, x.keys, x.values), reference(x)), 5e-6);
}

INSTANTIATE_TEST_SUITE_P(Shapes, AttendCausalTest,
                         ::testing::Values(Shape{1, 0, 4, 2, 16},        // the very first row
                                           Shape{1, 37, 9, 3, 64},       // decoding
                                           Shape{33, 0, 4, 4, 16},       // prefill, a key head a query head
                                           Shape{300, 0, 9, 3, 64},      // prefill, grouped
                                           Shape{2, 1, 4, 1, 8},         // rows behind a past: where is_causal is wrong
                                           Shape{33, 65, 6, 2, 16},      // within one block of rows
                                           Shape{600, 130, 4, 2, 16}));  // over several blocks

TEST(AttendCausalTest, IsAsExactAsItsDtypeBehindAPast) {
  const at::NoGradGuard serving;
  const Heads x = random_heads(50, 200, 6, 2, 32);
  const Heads rounded = {x.q.to(at::kBFloat16), x.keys.to(at::kBFloat16), x.values.to(at::kBFloat16)};

  const at::Tensor out = attend_causal(rounded.q, rounded.keys, rounded.values);

  EXPECT_EQ(out.scalar_type(), at::kBFloat16);
  EXPECT_LT(worst_difference(out.to(at::kFloat), reference(rounded)), 0.01);
}

TEST(AttendCausalTest, ReadsASlabThatHasRoomBehindItsLastRow) {
  const at::NoGradGuard serving;
  const Heads x = random_heads(5, 9, 4, 2, 16);
  const at::Tensor slab = at::full({2, 2, 64, 16}, NAN);  // what lies behind the rows must not be read
  slab[0].narrow(1, 0, 14).copy_(x.keys);
  slab[1].narrow(1, 0, 14).copy_(x.values);

  const at::Tensor out = attend_causal(x.q, slab[0].narrow(1, 0, 14), slab[1].narrow(1, 0, 14));

  EXPECT_LT(worst_difference(out, reference(x)), 5e-6);
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

#include "model/expansion_policy.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/tiny_models.h"

namespace refrag {
namespace {

using ::testing::HasSubstr;
using testing::TinyModel;

constexpr std::int64_t kWidth = 12;
constexpr std::int64_t kPositions = 8;

class ExpansionPolicyTest : public ::testing::Test {
 protected:
  std::shared_ptr<const ExpansionPolicy> load(const PolicyOptions& options = {},
                                              const TinyModel& model = testing::tiny_policy(kWidth, kPositions)) {
    write_safetensors(file_, model.tensors);
    return ExpansionPolicy::load(file_, options, at::kCPU);
  }

  TemporaryDirectory directory_;
  std::filesystem::path file_ = directory_.path() / "policy.safetensors";
  at::Tensor question_ = at::linspace(-2, 2, 3 * kWidth).sin().view({3, kWidth});
  at::Tensor context_ = at::linspace(-9, 9, 6 * kWidth).cos().view({6, kWidth});
};

TEST_F(ExpansionPolicyTest, ReadsTheQuestion) {
  const auto policy = load();

  EXPECT_EQ(policy->forward(question_, context_).sizes(), (std::vector<std::int64_t>{6}));
  EXPECT_FALSE(
      at::allclose(policy->forward(question_, context_), policy->forward(question_ * 2, context_), 1e-5, 1e-5));
}

TEST_F(ExpansionPolicyTest, SeesTheContextAloneInTheChunksOnlyVariant) {
  const auto policy = load({.question_aware = false});

  EXPECT_TRUE(at::equal(policy->forward(question_, context_), policy->forward(question_ * 2, context_)));
}

TEST_F(ExpansionPolicyTest, KnowsWhereAChunkStands) {
  const auto policy = load({.question_aware = false});
  const at::Tensor twice = context_.narrow(0, 0, 1).expand({2, kWidth});
  const at::Tensor logits = policy->forward(question_, twice);

  EXPECT_GT((logits[0] - logits[1]).abs().item<double>(), 1e-4);
}

TEST_F(ExpansionPolicyTest, ReadsContextsLongerThanItsTableOfPositions) {
  const auto policy = load();
  const at::Tensor logits = policy->forward(at::randn({kPositions + 3, kWidth}), at::randn({3000, kWidth}));

  EXPECT_EQ(logits.size(0), 3000);
  EXPECT_TRUE(logits.isfinite().all().item<bool>());
}

// With position rows that lie on a line, interpolated positions lie on the same line: the first and the last chunk of a
// long context are where those of a full-length one are, and the middle one between them.
TEST_F(ExpansionPolicyTest, SpreadsLongContextsEvenlyOverTheTrainedPositions) {
  TinyModel model = testing::tiny_policy(kWidth, 3);
  const at::Tensor step = at::ones({kWidth}) * at::arange(kWidth);
  model.tensors["position_embeddings.weight"] = at::stack({step * 0, step * 1, step * 2});
  TinyModel longer = model;
  longer.tensors["position_embeddings.weight"] = at::stack({step * 0, step * 0.5, step * 1, step * 1.5, step * 2});
  const at::Tensor context = at::randn({5, kWidth});

  const at::Tensor interpolated = load({}, model)->forward(question_.narrow(0, 0, 0), context);
  const at::Tensor trained = load({}, longer)->forward(question_.narrow(0, 0, 0), context);

  EXPECT_TRUE(at::allclose(interpolated, trained, 1e-5, 1e-5));
}

TEST_F(ExpansionPolicyTest, StandsATableOfOnePosition) {
  const auto policy = load({}, testing::tiny_policy(kWidth, 1));

  EXPECT_TRUE(policy->forward(question_, context_).isfinite().all().item<bool>());
}

TEST_F(ExpansionPolicyTest, ScoresNoChunksAsNothing) {
  EXPECT_EQ(load()->forward(question_, context_.narrow(0, 0, 0)).size(0), 0);
}

TEST_F(ExpansionPolicyTest, RefusesHeadsThatDoNotDivideItsWidthAndTensorsThatDoNotFit) {
  const auto refusal = [&](const PolicyOptions& options, const TinyModel& model) -> std::string {
    try {
      load(options, model);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
      return error.what();
    }
    return "";
  };
  TinyModel short_head = testing::tiny_policy(kWidth, kPositions);
  short_head.tensors["head.weight"] = at::zeros({1, kWidth - 1});
  TinyModel flat = testing::tiny_policy(kWidth, kPositions);
  flat.tensors["layer.0.intermediate.dense.weight"] = at::zeros({kWidth});

  EXPECT_THAT(refusal({.heads = 5}, testing::tiny_policy(kWidth, kPositions)), HasSubstr("policy.heads is 5"));
  EXPECT_THAT(refusal({}, short_head), HasSubstr("head.weight\" has shape [1, 11]; expected [1, 12]"));
  EXPECT_THAT(refusal({}, flat), HasSubstr("expected two dimensions"));
}

}  // namespace
}  // namespace refrag

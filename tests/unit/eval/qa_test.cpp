#include "eval/qa.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "refrag/error.h"
#include "support/fake_runner.h"

namespace refrag {
namespace {

using testing::FakeModel;
using testing::FakeRunner;
using testing::FakeTokenizer;

const std::vector<QaSetting> kAllModes = {
    {.mode = Mode::kNone}, {.mode = Mode::kRefrag, .expand = 0.5}, {.mode = Mode::kFull}};

QaItem item(const std::string& answer) {
  return {.question = "what is it?",
          .answers = {answer},
          .passages = {{"p1", "", "it is the moon, a rock"}, {"p2", "", "nothing of use"}},
          .relevant = {"p1"}};
}

std::shared_ptr<FakeRunner> runner_that_says(const std::string& words) {
  FakeModel model;
  model.answer = words;
  return std::make_shared<FakeRunner>(std::move(model));
}

TEST(EvaluateQaTest, WhatTheModelSaysIsAnExactMatchInEveryMode) {
  const auto runner = runner_that_says(" a rock");
  const QaReport report = evaluate_qa(runner, {item("a rock"), item("a tree")}, kAllModes, {}, 1);
  ASSERT_EQ(report.rows.size(), 3U);
  for (const QaRow& row : report.rows) {
    EXPECT_EQ(row.questions, 2U);
    EXPECT_DOUBLE_EQ(row.exact_match.mean, 0.5);
    EXPECT_NEAR(row.exact_match.standard_error, std::sqrt(0.25 / 2), 1e-12);
    EXPECT_GT(row.answer_log_perplexity.mean, 0);
  }
  EXPECT_EQ(runner->open_sequences(), 0U);
}

TEST(EvaluateQaTest, AnyOfSeveralAnswersIsRight) {
  QaItem several = item("a tree");
  several.answers.emplace_back("a rock");
  const QaReport report = evaluate_qa(runner_that_says(" a rock"), {several}, {{.mode = Mode::kFull}}, {}, 1);
  EXPECT_DOUBLE_EQ(report.rows[0].exact_match.mean, 1);
}

TEST(EvaluateQaTest, ARightAnswerIsLessPerplexingThanAWrongOne) {
  const auto perplexity = [](const std::string& answer) {
    return evaluate_qa(runner_that_says(" a rock"), {item(answer)}, {{.mode = Mode::kFull}}, {}, 1)
        .rows[0]
        .answer_log_perplexity.mean;
  };
  EXPECT_LT(perplexity("a rock"), perplexity("a tree"));
}

TEST(EvaluateQaTest, PositionsShowTheCompression) {
  const QaReport report =
      evaluate_qa(runner_that_says(" x"), {item("x")},
                  {{.mode = Mode::kNone}, {.mode = Mode::kRefrag, .expand = 0}, {.mode = Mode::kFull}}, {}, 1);
  EXPECT_LT(report.rows[0].prompt_positions, report.rows[1].prompt_positions);
  EXPECT_LT(report.rows[1].prompt_positions, report.rows[2].prompt_positions);
}

TEST(EvaluateQaTest, LongAnswersAndPassagesAreLeftOutAndCounted) {
  const QaReport report = evaluate_qa(runner_that_says(" x"), {item("x"), item(std::string(200, 'y'))},
                                      {{.mode = Mode::kFull}}, {.max_answer_tokens = 10, .max_passage_tokens = 96}, 1);
  EXPECT_EQ(report.rows[0].questions, 1U);
  EXPECT_EQ(report.left_out, 1U);
}

TEST(EvaluateQaTest, ARuleThatTheModelCannotRunIsRefused) {
  FakeModel model;
  model.has_policy = false;
  const auto runner = std::make_shared<FakeRunner>(model);
  try {
    evaluate_qa(runner, {item("x")}, {{.mode = Mode::kRefrag, .expand = 0.5}}, {}, 1);
    FAIL() << "a row for a policy that is not there";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_EQ(error.param(), "expand.by");
  }
  EXPECT_EQ(evaluate_qa(runner, {item("x")}, {{.mode = Mode::kRefrag, .expand = 0}}, {}, 1).rows[0].questions, 1U);
}

/// Answers end with </s>, which is not the first of its EOS tokens.
class RunnerOfManyEnds : public FakeRunner {
 public:
  explicit RunnerOfManyEnds(FakeModel model, std::vector<TokenId> eos_ids)
      : FakeRunner(std::move(model)), info_(FakeRunner::info()) {
    info_.eos_ids = std::move(eos_ids);
  }
  const ModelInfo& info() const override { return info_; }

 private:
  ModelInfo info_;
};

QaRow row_with_ends(std::vector<TokenId> eos_ids) {
  FakeModel model;
  model.answer = " a rock";
  const auto runner = std::make_shared<RunnerOfManyEnds>(std::move(model), std::move(eos_ids));
  return evaluate_qa(runner, {item("a rock")}, {{.mode = Mode::kFull}}, {}, 1).rows[0];
}

TEST(EvaluateQaTest, AnAnswerMayEndWithAnyEosToken) {
  const QaRow one = row_with_ends({FakeTokenizer::kEos});
  const QaRow two = row_with_ends({FakeTokenizer::kPad, FakeTokenizer::kEos});
  EXPECT_DOUBLE_EQ(two.exact_match.mean, 1);
  EXPECT_LT(two.answer_log_perplexity.mean, one.answer_log_perplexity.mean);  // either end will do
  EXPECT_DOUBLE_EQ(row_with_ends({FakeTokenizer::kEos, FakeTokenizer::kEos}).answer_log_perplexity.mean,
                   one.answer_log_perplexity.mean);
}

TEST(EvaluateQaTest, AQuestionTooLongForTheContextIsLeftOutOfAllRows) {
  QaItem longer = item("x");
  longer.passages[0].text += std::string(60, 'z');
  const double positions =
      evaluate_qa(runner_that_says(" x"), {item("x")}, {{.mode = Mode::kFull}}, {}, 1).rows[0].prompt_positions;
  FakeModel model;
  model.answer = " x";
  model.context_length = static_cast<std::size_t>(positions) + 2;  // and the answer, " x"

  const QaReport report = evaluate_qa(std::make_shared<FakeRunner>(model), {item("x"), longer, item("xyz")},
                                      {{.mode = Mode::kNone}, {.mode = Mode::kFull}}, {}, 1);

  EXPECT_EQ(report.left_out, 2U);  // one for its prompt, one for its answer
  EXPECT_EQ(report.rows[0].questions, 1U);
  EXPECT_EQ(report.rows[1].questions, 1U);
}

}  // namespace
}  // namespace refrag

#include "eval/qa.h"

#include <gtest/gtest.h>

#include <algorithm>
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

const EvalSetting kNone{.mode = EvalMode::kNone};
const EvalSetting kLast{.mode = EvalMode::kLast};
const EvalSetting kFull{.mode = EvalMode::kFull};

EvalSetting refrag_at(double share, EvalRule rule = EvalRule::kPolicy) {
  return {.mode = EvalMode::kRefrag, .expand = share, .by = rule};
}

QaReport evaluate(const std::shared_ptr<ModelRunner>& runner, const std::vector<QaItem>& items,
                  std::vector<EvalSetting> settings, QaLimits limits = {}) {
  return evaluate_qa(runner, items, {.settings = std::move(settings), .limits = limits, .resamples = 50});
}

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
  const QaReport report = evaluate(runner, {item("a rock"), item("a tree")}, {kNone, kLast, refrag_at(0.5), kFull});
  ASSERT_EQ(report.rows.size(), 4U);
  for (const QaRow& row : report.rows) {
    EXPECT_EQ(row.questions, 2U);
    EXPECT_DOUBLE_EQ(row.exact_match.estimate.value, 0.5);
    EXPECT_NEAR(row.exact_match.standard_error, std::sqrt(0.25 / 2), 1e-12);
    EXPECT_GT(row.answer_log_perplexity.estimate.value, 0);
  }
  EXPECT_EQ(runner->open_sequences(), 0U);
}

TEST(EvaluateQaTest, AnyOfSeveralAnswersIsRight) {
  QaItem several = item("a tree");
  several.answers.emplace_back("a rock");
  const QaReport report = evaluate(runner_that_says(" a rock"), {several}, {kFull});
  EXPECT_DOUBLE_EQ(report.rows[0].exact_match.estimate.value, 1);
}

TEST(EvaluateQaTest, ARightAnswerIsLessPerplexingThanAWrongOne) {
  const auto perplexity = [](const std::string& answer) {
    return evaluate(runner_that_says(" a rock"), {item(answer)}, {kFull}).rows[0].answer_log_perplexity.estimate.value;
  };
  EXPECT_LT(perplexity("a rock"), perplexity("a tree"));
}

TEST(EvaluateQaTest, PositionsShowTheCompression) {
  const QaReport report = evaluate(runner_that_says(" x"), {item("x")}, {kNone, refrag_at(0), kFull});
  EXPECT_LT(report.rows[0].prompt_positions, report.rows[1].prompt_positions);
  EXPECT_LT(report.rows[1].prompt_positions, report.rows[2].prompt_positions);
}

TEST(EvaluateQaTest, LongAnswersAndPassagesAreLeftOutAndCounted) {
  const QaReport report = evaluate(runner_that_says(" x"), {item("x"), item(std::string(200, 'y'))}, {kFull},
                                   {.max_answer_tokens = 10, .max_passage_tokens = 96});
  EXPECT_EQ(report.rows[0].questions, 1U);
  EXPECT_EQ(report.left_out, 1U);
}

TEST(EvaluateQaTest, ARuleThatTheModelCannotRunIsRefused) {
  FakeModel model;
  model.has_policy = false;
  const auto runner = std::make_shared<FakeRunner>(model);
  try {
    evaluate(runner, {item("x")}, {refrag_at(0.5)});
    FAIL() << "a row for a policy that is not there";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_EQ(error.param(), "expand.by");
  }
  EXPECT_EQ(evaluate(runner, {item("x")}, {refrag_at(0)}).rows[0].questions, 1U);
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
  return evaluate(runner, {item("a rock")}, {kFull}).rows[0];
}

TEST(EvaluateQaTest, AnAnswerMayEndWithAnyEosToken) {
  const QaRow one = row_with_ends({FakeTokenizer::kEos});
  const QaRow two = row_with_ends({FakeTokenizer::kPad, FakeTokenizer::kEos});
  EXPECT_DOUBLE_EQ(two.exact_match.estimate.value, 1);
  EXPECT_LT(two.answer_log_perplexity.estimate.value, one.answer_log_perplexity.estimate.value);  // either end will do
  EXPECT_DOUBLE_EQ(row_with_ends({FakeTokenizer::kEos, FakeTokenizer::kEos}).answer_log_perplexity.estimate.value,
                   one.answer_log_perplexity.estimate.value);
}

TEST(EvaluateQaTest, AQuestionTooLongForTheContextIsLeftOutOfAllRows) {
  QaItem longer = item("x");
  longer.passages[0].text += std::string(60, 'z');
  const double positions = evaluate(runner_that_says(" x"), {item("x")}, {kFull}).rows[0].prompt_positions;
  FakeModel model;
  model.answer = " x";
  model.context_length = static_cast<std::size_t>(positions) + 2;  // and the answer, " x"

  const QaReport report =
      evaluate(std::make_shared<FakeRunner>(model), {item("x"), longer, item("xyz")}, {kNone, kFull});

  EXPECT_EQ(report.left_out, 2U);  // one for its prompt, one for its answer
  EXPECT_EQ(report.rows[0].questions, 1U);
  EXPECT_EQ(report.rows[1].questions, 1U);
}

QaReport evaluate_with_template(const std::string& passage, const std::string& separator) {
  FakeModel model;
  model.answer = " x";
  model.prompt.passage = passage;
  model.prompt.separator = separator;
  return evaluate(std::make_shared<FakeRunner>(model), {item("x")}, {kNone, kLast, refrag_at(0), kFull});
}

TEST(EvaluateQaTest, LastTokensTakeThePositionsOfTheCompressedContext) {
  const QaReport report = evaluate_with_template("{text}\n", "");
  EXPECT_EQ(report.rows[1].prompt_positions, report.rows[2].prompt_positions);
  EXPECT_GT(report.rows[1].prompt_positions, report.rows[0].prompt_positions);
  EXPECT_LT(report.rows[1].prompt_positions, report.rows[3].prompt_positions);
}

TEST(EvaluateQaTest, LastTokensWithoutRoomForATitleLeaveItsPassageOut) {
  const QaReport report = evaluate_with_template("[{title}] {text}\n", " -- ");
  EXPECT_LE(report.rows[1].prompt_positions, report.rows[2].prompt_positions);
  EXPECT_GT(report.rows[1].prompt_positions, report.rows[2].prompt_positions - 8);  // what stands around a text
}

TEST(EvaluateQaTest, EverythingExpandedIsFullContext) {
  const QaReport report = evaluate(std::make_shared<FakeRunner>(), {item("x"), item("yes")}, {refrag_at(1), kFull});
  EXPECT_EQ(report.rows[0].answer_log_perplexity.estimate.value, report.rows[1].answer_log_perplexity.estimate.value);
  EXPECT_EQ(report.rows[0].prompt_positions, report.rows[1].prompt_positions);
}

TEST(EvaluateQaTest, ThePerplexityRulesPickDifferentChunksAndAsMany) {
  const QaReport report =
      evaluate(std::make_shared<FakeRunner>(), {item("x")},
               {refrag_at(0.5, EvalRule::kFirst), refrag_at(0.5, EvalRule::kHighPerplexity),
                refrag_at(0.5, EvalRule::kLowPerplexity), refrag_at(1, EvalRule::kHighPerplexity), kFull});
  EXPECT_NE(report.rows[1].answer_log_perplexity.estimate.value, report.rows[2].answer_log_perplexity.estimate.value);
  // All chunks are 4 tokens but the last ones of the two passages, so that equally many make nearly equal prompts.
  EXPECT_NEAR(report.rows[1].prompt_positions, report.rows[0].prompt_positions, 4);
  EXPECT_EQ(report.rows[3].prompt_positions, report.rows[4].prompt_positions);
}

TEST(EvaluateQaTest, F1CountsTheWordsOfWhatIsDecoded) {
  const auto runner = runner_that_says(" a big rock");
  const QaReport report = evaluate(runner, {item("rock"), item("big rock"), item("tree"), item("a big rock")}, {kFull});
  // "a" does not count: 2/3, 1, 0 and 1.
  EXPECT_NEAR(report.rows[0].f1.estimate.value, (2.0 / 3 + 1 + 0 + 1) / 4, 1e-12);
  EXPECT_DOUBLE_EQ(report.rows[0].exact_match.estimate.value, 0.25);
  EXPECT_EQ(runner->open_sequences(), 0U);
}

TEST(EvaluateQaTest, F1TakesTheNearestOfSeveralAnswers) {
  QaItem several = item("a tree");
  several.answers.emplace_back("big stone");
  several.answers.emplace_back("big rocks");
  const QaReport report = evaluate(runner_that_says(" big stone wall"), {several}, {kFull});
  EXPECT_NEAR(report.rows[0].f1.estimate.value, 0.8, 1e-12);
}

TEST(EvaluateQaTest, NoAnswerIsDecodedBeyondTheLimit) {
  FakeModel model;  // babbles without end
  const QaReport report = evaluate(std::make_shared<FakeRunner>(model), {item("x")}, {kFull}, {.max_answer_tokens = 5});
  EXPECT_LT(report.rows[0].f1.estimate.value, 1);
}

TEST(EvaluateQaTest, RowsStandForEachNumberOfPassages) {
  QaOptions options{.settings = {kNone, kFull}, .passages = {1, 2}, .resamples = 50};
  const QaReport report = evaluate_qa(runner_that_says(" x"), {item("x")}, options);
  ASSERT_EQ(report.rows.size(), 4U);
  EXPECT_EQ(report.rows[0].passages, 1);
  EXPECT_EQ(report.rows[3].passages, 2);
  EXPECT_EQ(report.rows[0].prompt_positions, report.rows[2].prompt_positions);  // none reads no passages
  EXPECT_LT(report.rows[1].prompt_positions, report.rows[3].prompt_positions);
}

TEST(EvaluateQaTest, AWeakRetrieverStandsBesideTheStrongOne) {
  QaOptions options{.settings = {kFull}, .drop_relevant = 1, .resamples = 50};
  const QaReport report = evaluate_qa(std::make_shared<FakeRunner>(), {item("x"), item("y")}, options);
  ASSERT_EQ(report.rows.size(), 2U);
  EXPECT_EQ(report.rows[0].drop_relevant, 0);
  EXPECT_EQ(report.rows[1].drop_relevant, 1);
  EXPECT_EQ(report.rows[1].passages, 1);  // nothing stands in for the relevant one
  EXPECT_NE(report.rows[0].answer_log_perplexity.estimate.value, report.rows[1].answer_log_perplexity.estimate.value);
}

TEST(EvaluateQaTest, IntervalsHoldTheirFigureAndAreTheSameForTheSameSeed) {
  std::vector<QaItem> items(40, item("a tree"));
  std::fill_n(items.begin(), 10, item("a rock"));
  const auto interval = [&](std::uint64_t seed) {
    QaOptions options{.settings = {kFull}, .seed = seed};
    return evaluate_qa(runner_that_says(" a rock"), items, options).rows[0].exact_match.estimate;
  };
  const Estimate estimate = interval(3);
  EXPECT_DOUBLE_EQ(estimate.value, 0.25);
  // Binomial: 1.96 standard errors of 0.0685.
  EXPECT_NEAR(estimate.interval.low, 0.25 - 0.134, 0.03);
  EXPECT_NEAR(estimate.interval.high, 0.25 + 0.134, 0.03);
  EXPECT_EQ(estimate.interval.low, interval(3).interval.low);
}

TEST(EvaluateQaTest, TheGapIsMeasuredFromNoneToFull) {
  const std::vector<QaItem> items(8, item("a rock"));
  const QaReport report = evaluate(std::make_shared<FakeRunner>(), items, {kNone, refrag_at(0), kFull});
  const double none = report.rows[0].answer_log_perplexity.estimate.value;
  const double compressed = report.rows[1].answer_log_perplexity.estimate.value;
  const double full = report.rows[2].answer_log_perplexity.estimate.value;
  if (none > full) {
    EXPECT_NEAR(report.rows[1].log_perplexity_gap->value, (none - compressed) / (none - full), 1e-9);
    EXPECT_NEAR(report.rows[2].log_perplexity_gap->value, 1, 1e-12);
  } else {
    EXPECT_FALSE(report.rows[1].log_perplexity_gap.has_value());
  }
  EXPECT_FALSE(report.rows[0].exact_match_gap.has_value());  // neither ever answers right
}

TEST(EvaluateQaTest, StopsWhereItIsToldAndKeepsWhatIsDone) {
  QaOptions options{.settings = {kFull}, .resamples = 50};
  const QaReport report = evaluate_qa(runner_that_says(" x"), {item("x"), item("x"), item("x")}, options,
                                      [](std::size_t done, std::size_t) { return done < 2; });
  EXPECT_TRUE(report.interrupted);
  EXPECT_EQ(report.rows[0].questions, 2U);
}

TEST(EvaluateQaTest, EachChunkIsEncodedOnceForAllRows) {
  const auto once = std::make_shared<FakeRunner>();
  const auto often = std::make_shared<FakeRunner>();
  evaluate(once, {item("x")}, {refrag_at(0)});
  evaluate(often, {item("x")}, {refrag_at(0), refrag_at(0.25, EvalRule::kRandom), refrag_at(0.5, EvalRule::kRandom)});
  EXPECT_EQ(once->encoded_chunks(), often->encoded_chunks());
}

TEST(EvaluateQaTest, NoQuestionLeftIsAnErrorThatSaysWhy) {
  FakeModel model;
  model.context_length = 16;
  try {
    evaluate(std::make_shared<FakeRunner>(model), {item("x")}, {kFull});
    FAIL() << "a table over nothing";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("the context length is 16"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace refrag

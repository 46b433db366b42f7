#include "eval/lm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "engine/sampler.h"
#include "refrag/error.h"
#include "support/errors.h"
#include "support/fake_runner.h"

namespace refrag {
namespace {

using ::testing::AllOf;
using testing::error_of;
using testing::FakeModel;
using testing::FakeRunner;
using testing::FakeTokenizer;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

const std::string kText = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";  // a token a letter

LmOptions options_with(std::vector<EvalSetting> settings) {
  return {.settings = std::move(settings), .context = 18, .target = 6, .resamples = 20};
}

/// Mean loss of tokens [first, end) of a sequence of tokens alone, by whole forwards.
double plain_loss(const FakeRunner& runner, const std::vector<TokenId>& ids, std::size_t first) {
  std::vector<Entry> entries;
  double loss = 0;
  for (std::size_t n = 0; n < ids.size(); ++n) {
    if (n >= first) {
      const std::vector<float> logits = runner.logits_after(entries, nullptr);
      loss -= RawDistribution(logits).logprob(ids[n]);
    }
    entries.push_back({.token = ids[n]});
  }
  return loss / static_cast<double>(ids.size() - first);
}

std::vector<TokenId> letters(const std::string& text) {
  std::vector<TokenId> ids = {FakeTokenizer::kBos};
  for (const char c : text) ids.push_back(FakeTokenizer::kFirstByte + static_cast<unsigned char>(c));
  return ids;
}

TEST(EvaluateLmTest, RowsOfTokensAloneAreThoseOfThePlainDecoder) {
  const auto runner = std::make_shared<FakeRunner>();  // chunks of 4: five of them, the last one of two tokens
  const LmReport report = evaluate_lm(
      runner, {kText}, options_with({{EvalMode::kNone}, {EvalMode::kLast}, {EvalMode::kFull}, {EvalMode::kRefrag, 1}}));
  EXPECT_NEAR(report.rows[0].log_perplexity.value, plain_loss(*runner, letters(kText.substr(18, 6)), 1), 1e-9);
  EXPECT_NEAR(report.rows[1].log_perplexity.value, plain_loss(*runner, letters(kText.substr(13, 11)), 6), 1e-9);
  EXPECT_NEAR(report.rows[2].log_perplexity.value, plain_loss(*runner, letters(kText.substr(0, 24)), 19), 1e-9);
  EXPECT_EQ(report.rows[3].log_perplexity.value, report.rows[2].log_perplexity.value);
  EXPECT_EQ(report.rows[0].context_positions, 0);
  EXPECT_EQ(report.rows[1].context_positions, 5);
  EXPECT_EQ(report.rows[2].context_positions, 18);
  EXPECT_EQ(report.target_tokens, 6U);
  EXPECT_EQ(runner->open_sequences(), 0U);
}

TEST(EvaluateLmTest, CompressedContextIsOneVectorAChunk) {
  const auto runner = std::make_shared<FakeRunner>();
  const LmReport report = evaluate_lm(runner, {kText}, options_with({{EvalMode::kRefrag, 0}}));
  EXPECT_EQ(report.rows[0].context_positions, 5);
  const std::vector<TokenId> ids = letters(kText);
  std::vector<std::vector<TokenId>> chunks;
  for (std::size_t n = 1; n < 19; n += 4) {
    chunks.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(n),
                        ids.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(n + 4, 19)));
  }
  const Matrix vectors = runner->project(runner->encode_chunks(chunks));
  std::vector<Entry> entries = {{.token = FakeTokenizer::kBos}};
  for (std::int32_t row = 0; row < 5; ++row) entries.push_back({.row = row});
  double loss = 0;
  for (std::size_t n = 19; n < 25; ++n) {
    const std::vector<float> logits = runner->logits_after(entries, &vectors);
    loss -= RawDistribution(logits).logprob(ids[n]);
    entries.push_back({.token = ids[n]});
  }
  EXPECT_NEAR(report.rows[0].log_perplexity.value, loss / 6, 1e-9);
}

TEST(EvaluateLmTest, EveryRuleExpandsItsOwnChunks) {
  std::vector<EvalSetting> settings;
  for (const EvalRule rule : all_eval_rules()) settings.push_back({EvalMode::kRefrag, 0.4, rule});
  const LmReport report = evaluate_lm(std::make_shared<FakeRunner>(), {kText}, options_with(settings));
  for (const LmRow& row : report.rows) {
    EXPECT_GE(row.context_positions, 5 + 3 + 1);  // two chunks of 4 tokens, or one of 4 and the last one of 2
    EXPECT_LE(row.context_positions, 5 + 3 + 3);
  }
  EXPECT_NE(report.rows[4].log_perplexity.value, report.rows[5].log_perplexity.value);  // perplexity, both ways
}

TEST(EvaluateLmTest, WindowsFollowOneAnother) {
  LmOptions options = options_with({{EvalMode::kFull}});
  const auto windows = [&](std::size_t count) {
    options.windows = count;
    return evaluate_lm(std::make_shared<FakeRunner>(), {kText}, options).windows;
  };
  EXPECT_EQ(windows(1), 1U);
  EXPECT_EQ(windows(2), 2U);
  EXPECT_EQ(windows(0), 2U);  // 62 tokens hold two windows of 24
  EXPECT_EQ(windows(9), 2U);
}

TEST(EvaluateLmTest, ShortDocumentsAreCountedAndOthersTakeTheirPlaces) {
  LmOptions options = options_with({{EvalMode::kFull}});
  options.documents = 2;
  const LmReport report = evaluate_lm(std::make_shared<FakeRunner>(), {"short", kText, "x", kText, kText}, options);
  EXPECT_EQ(report.documents, 2U);
  EXPECT_EQ(report.too_short, 2U);
}

TEST(EvaluateLmTest, NoDocumentLongEnoughIsAnErrorWithTheNumbers) {
  const Error error = error_of([] {
    evaluate_lm(std::make_shared<FakeRunner>(), {"short", "shorter"}, options_with({{EvalMode::kFull}}));
  });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("none of 2 documents has the 24 tokens"), HasSubstr("the longest has 7")));
}

TEST(EvaluateLmTest, WhatTheModelCannotDoIsRefused) {
  FakeModel model;
  model.has_policy = false;
  EXPECT_THAT(error_of([&] {
                evaluate_lm(std::make_shared<FakeRunner>(model), {kText}, options_with({{EvalMode::kRefrag, 0.5}}));
              }).what(),
              HasSubstr("expansion policy"));
  model.chunk_size = 0;
  EXPECT_THAT(error_of([&] {
                evaluate_lm(std::make_shared<FakeRunner>(model), {kText}, options_with({{EvalMode::kLast}}));
              }).what(),
              HasSubstr("chunk encoder"));
  model.context_length = 24;
  EXPECT_EQ(error_of([&] {
              evaluate_lm(std::make_shared<FakeRunner>(model), {kText}, options_with({{EvalMode::kFull}}));
            }).param(),
            "--context");
}

TEST(EvaluateLmTest, WithoutBosEveryRowLeavesTheFirstTokenOut) {
  FakeModel model;
  model.prompt.bos = false;
  const LmReport report =
      evaluate_lm(std::make_shared<FakeRunner>(model), {kText}, options_with({{EvalMode::kNone}, {EvalMode::kFull}}));
  EXPECT_EQ(report.target_tokens, 5U);
}

TEST(EvaluateLmTest, StopsWhereItIsTold) {
  const LmReport report =
      evaluate_lm(std::make_shared<FakeRunner>(), {kText, kText, kText}, options_with({{EvalMode::kFull}}),
                  [](std::size_t done, std::size_t) { return done < 2; });
  EXPECT_TRUE(report.interrupted);
  EXPECT_EQ(report.documents, 2U);
}

class ReadTextsTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& content) const {
    write_file_atomic(directory_.path() / "texts.jsonl", content);
    return directory_.path() / "texts.jsonl";
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(ReadTextsTest, TakesTheTextOfEachLine) {
  const auto file = write("{\"text\": \"one\", \"id\": \"x\"}\n\n{\"text\": \"two\"}\n");
  EXPECT_THAT(read_texts(file, 1), UnorderedElementsAre("one", "two"));
}

TEST_F(ReadTextsTest, FaultsAreToldWithFileLineAndField) {
  for (const auto& [content, expected] :
       {std::pair("{\"text\": \"a\"}\n{\"title\": \"b\"}\n", "texts.jsonl:2"), std::pair("{\"text\": 3}\n", "text"),
        std::pair("{\"text\n", "texts.jsonl:1"), std::pair("", "no documents")}) {
    const Error error = error_of([&, text = content] { read_texts(write(text), 1); });
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    EXPECT_THAT(error.what(), HasSubstr(expected));
  }
  EXPECT_EQ(error_of([] { read_texts("nowhere.jsonl", 1); }).code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace refrag

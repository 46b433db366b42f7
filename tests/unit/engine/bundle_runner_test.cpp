#include "engine/bundle_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "refrag/model_bundle.h"
#include "support/errors.h"
#include "support/golden.h"

namespace refrag {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

constexpr double kSame = 5e-5;  // sums in another order

std::vector<Entry> tokens(std::initializer_list<TokenId> ids) {
  std::vector<Entry> entries;
  for (const TokenId id : ids) {
    entries.push_back({id, -1});
  }
  return entries;
}

double worst_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double worst = 0;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - b[i]));
  }
  return worst;
}

/// Over tests/golden/bundles/refrag-tiny.
class BundleRunnerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ModelOptions options;
    options.dtype = Dtype::kFp32;
    bundle_ = ModelBundle::load(testing::trained_bundle(), options);
  }
  static void TearDownTestSuite() { bundle_.reset(); }

  StepInput input(SequenceId sequence, std::size_t start, const std::vector<Entry>& entries,
                  std::size_t logits_of_last = 1) const {
    return {sequence, start, entries, &vectors_, logits_of_last};
  }
  Matrix step(const StepInput& one) { return runner_.step(std::span(&one, 1)).at(0); }
  std::vector<float> fresh(const std::vector<Entry>& entries) {
    const SequenceId sequence = runner_.open_sequence(entries.size());
    const Matrix logits = step(input(sequence, 0, entries));
    runner_.close_sequence(sequence);
    return logits.values;
  }

  static std::shared_ptr<const ModelBundle> bundle_;
  BundleRunner runner_{bundle_};
  Matrix vectors_ = runner_.project(runner_.encode_chunks({{90, 91, 92}, {100, 101, 102, 103, 104, 105, 106, 107}}));
};
std::shared_ptr<const ModelBundle> BundleRunnerTest::bundle_;

TEST_F(BundleRunnerTest, DescribesItsModel) {
  const ModelInfo& info = runner_.info();

  EXPECT_EQ(info.name, "refrag-tiny");
  EXPECT_EQ(info.chunk_size, 8U);
  EXPECT_EQ(info.chunk_width, 192U);
  EXPECT_EQ(info.decoder_width, 192U);
  EXPECT_EQ(info.vocab_size, 2048U);
  EXPECT_EQ(info.context_length, 4096U);
  EXPECT_EQ(info.eos_ids, (std::vector<TokenId>{2}));
  EXPECT_EQ(info.kv_bytes_per_position, 2U * 6 * 192 * 4);
  EXPECT_TRUE(info.has_policy);
  EXPECT_FALSE(info.has_reranker);
  EXPECT_NE(info.tokenizer, nullptr);
}

TEST_F(BundleRunnerTest, PassageVectorsAreTheMeanOfChunkVectorsWithoutARetriever) {
  ASSERT_TRUE(runner_.info().passages_are_mean_of_chunks);
  const std::string text = "oomd is a userspace out of memory killer for Linux systems.";
  const std::vector<TokenId> ids = runner_.info().tokenizer->encode(text);
  ASSERT_GT(ids.size(), 8U);
  std::vector<std::vector<TokenId>> chunks;
  for (std::size_t begin = 0; begin < ids.size(); begin += 8) {
    chunks.emplace_back(ids.begin() + static_cast<std::ptrdiff_t>(begin),
                        ids.begin() + static_cast<std::ptrdiff_t>(std::min(begin + 8, ids.size())));
  }
  const Matrix vectors = runner_.encode_chunks(chunks);
  std::vector<float> sum(vectors.width, 0.0f);
  double squares = 0;
  for (std::size_t i = 0; i < vectors.values.size(); ++i) sum[i % vectors.width] += vectors.values[i];
  for (const float value : sum) squares += static_cast<double>(value) * value;
  for (float& value : sum) value = static_cast<float>(value / std::sqrt(squares));

  EXPECT_LT(worst_difference(runner_.embed_passages({text}).values, sum), 1e-6);
}

TEST_F(BundleRunnerTest, MixesTokensAndVectorsInOneSequence) {
  const std::vector<Entry> entries = {{1, -1}, {Entry::kVector, 0}, {40, -1}, {Entry::kVector, 1}, {41, -1}};
  const SequenceId sequence = runner_.open_sequence(8);

  std::vector<float> by_steps;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    by_steps = step(input(sequence, i, {entries[i]})).values;
  }

  EXPECT_LT(worst_difference(fresh(entries), by_steps), kSame);
  EXPECT_GT(worst_difference(fresh(entries), fresh(tokens({1, 40, 41}))), 0.1);  // the vectors do count
}

TEST_F(BundleRunnerTest, StepsSequencesOfDifferentLengthsTogether) {
  const SequenceId first = runner_.open_sequence(4);
  const SequenceId second = runner_.open_sequence(4);
  step(input(first, 0, tokens({1, 50, 51})));

  const std::vector<Entry> one_more = tokens({52});
  const std::vector<Entry> prompt = tokens({1, 60, 61, 62, 63});
  const std::vector<StepInput> inputs = {input(first, 3, one_more), input(second, 0, prompt, 2)};
  const std::vector<Matrix> logits = runner_.step(inputs);

  EXPECT_EQ(logits[1].rows, 2U);
  EXPECT_LT(worst_difference(logits[0].values, fresh(tokens({1, 50, 51, 52}))), kSame);
  const std::span<const float> last = logits[1].row(1);
  EXPECT_LT(worst_difference({last.begin(), last.end()}, fresh(prompt)), kSame);
}

TEST_F(BundleRunnerTest, CutsASequenceBackToTheStartOfAStep) {
  const SequenceId sequence = runner_.open_sequence(4);
  step(input(sequence, 0, tokens({1, 50, 51, 52, 53})));

  const Matrix logits = step(input(sequence, 2, tokens({70, 71, 72})));

  EXPECT_LT(worst_difference(logits.values, fresh(tokens({1, 50, 70, 71, 72}))), kSame);
}

TEST_F(BundleRunnerTest, GivesNoLogitsWhereNoneAreWanted) {
  const SequenceId sequence = runner_.open_sequence(4);

  EXPECT_EQ(step(input(sequence, 0, tokens({1, 50}), 0)).rows, 0U);
  EXPECT_EQ(step(input(sequence, 2, tokens({51}), 1)).rows, 1U);
}

TEST_F(BundleRunnerTest, AStepThatFailsLeavesOthersAndItselfUsable) {
  const SequenceId sequence = runner_.open_sequence(4);
  step(input(sequence, 0, tokens({1, 50})));

  const Error error = error_of([&] { step(input(sequence, 2, tokens({5000}))); });

  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_LT(worst_difference(step(input(sequence, 2, tokens({51}))).values, fresh(tokens({1, 50, 51}))), kSame);
}

TEST_F(BundleRunnerTest, RefusesStepsThatMakeNoSense) {
  const SequenceId sequence = runner_.open_sequence(4);
  const auto refused = [&](const StepInput& one) { return error_of([&] { step(one); }).code(); };

  EXPECT_EQ(refused(input(sequence + 1, 0, tokens({1}))), ErrorCode::kInternal);        // not open
  EXPECT_EQ(refused(input(sequence, 1, tokens({1}))), ErrorCode::kInternal);            // behind its end
  EXPECT_EQ(refused(input(sequence, 0, tokens({1}), 2)), ErrorCode::kInternal);         // more logits than entries
  EXPECT_EQ(refused(input(sequence, 0, {{Entry::kVector, 2}})), ErrorCode::kInternal);  // no such vector
}

TEST_F(BundleRunnerTest, ScoresChunksWithVectorsThatAreProjectedAlready) {
  const Matrix question = runner_.encode_chunks({{80, 81}});
  const Matrix context = runner_.encode_chunks({{90, 91, 92}, {100, 101, 102, 103, 104, 105, 106, 107}});

  const std::vector<float> scores = runner_.score_chunks(question, context, nullptr);

  EXPECT_EQ(scores.size(), 2U);
  EXPECT_LT(worst_difference(scores, runner_.score_chunks(question, context, &vectors_)), 1e-5);
}

TEST_F(BundleRunnerTest, NamesThePartThatTheBundleLacks) {
  const Error error = error_of([&] { runner_.rerank("q", {"t"}); });

  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(error.what(), HasSubstr("model refrag-tiny has no reranker"));
}

}  // namespace
}  // namespace refrag

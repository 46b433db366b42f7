#include "engine/preparation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "refrag/error.h"
#include "support/fake_runner.h"

namespace refrag {
namespace {

using testing::FakeModel;
using testing::FakeRunner;
using ::testing::HasSubstr;

constexpr std::size_t kRoom = 1000;

FakeModel bare_model() {
  FakeModel model;
  model.prompt.text = "{context}Q: {question}";
  model.prompt.passage = "{text}\n";
  return model;
}

class PreparationTest : public ::testing::Test {
 protected:
  explicit PreparationTest(FakeModel model = bare_model()) : runner_(std::make_shared<FakeRunner>(std::move(model))) {}

  PreparedRequest prepare(
      const Query& query, std::size_t max_positions = kRoom, const std::function<void()>& check = [] {}) const {
    const auto latency = [] {
      const std::vector<PrefillMeasurement> measured = {{100, 1000}, {200, 2000}, {400, 4000}};
      return LatencyModel::fit(measured);  // 10 ms a position
    };
    const Preparation preparation(runner_, nullptr, max_positions, latency);
    PhaseClock clock(Clock::now());
    return preparation.prepare(query, clock, check);
  }

  std::shared_ptr<FakeRunner> runner_;
};

/// Three passages of 8, 6 and 4 tokens: chunks of (4 4) (4 2) (4), best first.
Query three_passages() {
  Query query;
  query.question = "what";
  query.passages = {{"a", "", "aaaaAAAA"}, {"b", "", "bbbbBB"}, {"c", "", "cccc"}};
  query.expand.fraction = 0;
  return query;
}

/// The layout as text, "*" for a vector.
std::string shown(const PreparedRequest& prepared) {
  const testing::FakeTokenizer tokenizer;
  std::string text;
  for (const Entry& entry : prepared.input.entries()) {
    text += entry.token == Entry::kVector ? "*" : tokenizer.bytes_of(entry.token);
  }
  return text;
}

std::string refused_param(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.param();
  }
  return "nothing";
}

TEST_F(PreparationTest, TheBestPassageStandsLastUnlessAskedOtherwise) {
  Query query = three_passages();
  EXPECT_EQ(shown(prepare(query)), "*\n**\n**\nQ: what");
  query.mode = Mode::kFull;
  EXPECT_EQ(shown(prepare(query)), "cccc\nbbbbBB\naaaaAAAA\nQ: what");
  query.order = PassageOrder::kBestFirst;
  EXPECT_EQ(shown(prepare(query)), "aaaaAAAA\nbbbbBB\ncccc\nQ: what");
}

TEST_F(PreparationTest, FullAndRefragWithEverythingExpandedHaveTheSameEntries) {
  Query query = three_passages();
  query.expand.fraction = 1;
  const PreparedRequest refrag = prepare(query);
  query.mode = Mode::kFull;
  const PreparedRequest full = prepare(query);
  EXPECT_THAT(refrag.input.entries(), ::testing::ElementsAreArray(full.input.entries()));
  EXPECT_EQ(full.answer.retrieval.hits[0].chunks[0].reason, "all chunks (mode full)");
}

TEST_F(PreparationTest, NoneAndAllOfTheChunksAskNoRule) {
  Query query = three_passages();
  for (const double fraction : {0.0, 1.0}) {
    query.expand.fraction = fraction;
    const std::size_t before = runner_->encoded_chunks();
    const PreparedRequest prepared = prepare(query);
    EXPECT_EQ(runner_->encoded_chunks() - before, 5u) << "those of the passages, none of the question";
    EXPECT_EQ(prepared.answer.usage.expanded, fraction == 0 ? 0u : 5u);
    const ChunkReport& chunk = prepared.answer.retrieval.hits[0].chunks[0];
    EXPECT_FALSE(chunk.score.has_value());
    EXPECT_EQ(chunk.reason, fraction == 0 ? "no chunk (fraction 0)" : "all chunks (fraction 1)");
  }
}

TEST_F(PreparationTest, HitsAreBestFirstAndIdsCountInTheOrderOfThePrompt) {
  Query query = three_passages();
  query.expand = {};
  query.expand.by = ExpandBy::kIds;
  query.expand.ids = {{1, 1}, {2, 0}};  // of "b" the second chunk, of "a" the first
  const PreparedRequest prepared = prepare(query);
  EXPECT_EQ(shown(prepared), "*\n*BB\naaaa*\nQ: what");
  const std::vector<Hit>& hits = prepared.answer.retrieval.hits;
  ASSERT_EQ(hits.size(), 3u);
  EXPECT_EQ(hits[0].passage_id, "a");
  EXPECT_EQ(hits[0].chunks[0].state, ChunkState::kExpanded);
  EXPECT_EQ(hits[0].chunks[0].reason, "forced by the caller");
  EXPECT_EQ(hits[1].chunks[1].state, ChunkState::kExpanded);
  EXPECT_EQ(hits[1].chunks[0].reason, "not among the caller's ids");
  EXPECT_EQ(prepared.answer.usage.expanded, 2u);
}

TEST_F(PreparationTest, IdsThatNameNoChunkAreRefusedByName) {
  Query query = three_passages();
  query.expand = {};
  query.expand.by = ExpandBy::kIds;
  query.expand.ids = {{0, 0}, {0, 1}};
  EXPECT_EQ(refused_param([&] { prepare(query); }), "expand.ids[1].chunk");
  query.expand.ids = {{3, 0}};
  EXPECT_EQ(refused_param([&] { prepare(query); }), "expand.ids[0].passage");
}

TEST_F(PreparationTest, ThePolicysBestChunksAreExpandedAndEachChunkSaysWhy) {
  Query query = three_passages();
  query.expand.fraction = 0.4;  // 2 of 5
  const PreparedRequest prepared = prepare(query);
  EXPECT_EQ(prepared.answer.usage.expanded, 2u);
  std::vector<double> expanded;
  std::vector<double> compressed;
  for (const Hit& hit : prepared.answer.retrieval.hits) {
    for (const ChunkReport& chunk : hit.chunks) {
      (chunk.state == ChunkState::kExpanded ? expanded : compressed).push_back(chunk.score.value());
      EXPECT_THAT(chunk.reason, ::testing::MatchesRegex("rank [1-5] of 5, budget 2"));
    }
  }
  EXPECT_GE(*std::min_element(expanded.begin(), expanded.end()),
            *std::max_element(compressed.begin(), compressed.end()));
}

TEST_F(PreparationTest, OtherRulesSayTheirName) {
  Query query = three_passages();
  query.expand.fraction = 0.4;
  query.expand.by = ExpandBy::kFirst;
  const PreparedRequest first = prepare(query);
  EXPECT_EQ(shown(first), "cccc\nbbbb*\n**\nQ: what");
  EXPECT_EQ(first.answer.retrieval.hits[0].chunks[0].reason, "rule: first, rank 4 of 5, budget 2");
  EXPECT_FALSE(first.answer.retrieval.hits[0].chunks[0].score.has_value());
  query.expand.by = ExpandBy::kSimilarity;
  EXPECT_TRUE(prepare(query).answer.retrieval.hits[0].chunks[0].score.has_value());
  query.explain = false;
  EXPECT_EQ(prepare(query).answer.retrieval.hits[0].chunks[0].reason, "");
}

TEST_F(PreparationTest, ABudgetOfTokensIsSpentInRankOrder) {
  Query query = three_passages();
  query.expand = {};
  query.expand.by = ExpandBy::kFirst;
  query.expand.tokens = 9;
  const PreparedRequest prepared = prepare(query);
  EXPECT_EQ(shown(prepared), "cccc\nbbbb*\n**\nQ: what");
  EXPECT_THAT(prepared.answer.retrieval.hits[0].chunks[0].reason, HasSubstr("budget 2 for 9 tokens"));
}

TEST_F(PreparationTest, ATimeToTheFirstTokenIsKeptByTheLatencyModel) {
  Query query = three_passages();
  query.expand = {};
  query.expand.by = ExpandBy::kFirst;
  query.expand.ttft_ms = 1e6;
  EXPECT_EQ(prepare(query).answer.usage.expanded, 5u);
  query.expand.ttft_ms = 1;  // not even the compressed prompt is that fast
  const PreparedRequest prepared = prepare(query);
  EXPECT_EQ(prepared.answer.usage.expanded, 0u);
  EXPECT_THAT(prepared.answer.retrieval.hits[0].chunks[0].reason, HasSubstr("the latency model errs by up to"));
}

TEST_F(PreparationTest, UsageShowsTheCompression) {
  const PreparedRequest prepared = prepare(three_passages());
  const Usage& usage = prepared.answer.usage;
  EXPECT_EQ(usage.question_tokens, 8u);  // BOS, "Q: what"
  EXPECT_EQ(usage.context_tokens, 18u + 3u);
  EXPECT_EQ(usage.prompt_positions, 8u + 3u + 5u);
  EXPECT_EQ(usage.chunks, 5u);
  EXPECT_EQ(usage.encoded_chunks, 5u);
  EXPECT_EQ(runner_->encoded_chunks(), 5u);  // none of the question: no rule is asked
}

TEST_F(PreparationTest, ModeFullNeedsNoVectors) {
  Query query = three_passages();
  query.mode = Mode::kFull;
  EXPECT_EQ(prepare(query).answer.usage.encoded_chunks, 0u);
  EXPECT_EQ(runner_->encoded_chunks(), 0u);
}

TEST_F(PreparationTest, ModeNoneReadsNoPassages) {
  Query query = three_passages();
  query.mode = Mode::kNone;
  const PreparedRequest prepared = prepare(query);
  EXPECT_EQ(shown(prepared), "Q: what");
  EXPECT_TRUE(prepared.answer.retrieval.empty);
  EXPECT_TRUE(prepared.answer.citations.empty());
}

TEST_F(PreparationTest, PassagesWithoutTextAreShownAndCostNothing) {
  Query query = three_passages();
  query.passages = {{"empty", "", ""}};
  const PreparedRequest prepared = prepare(query);
  EXPECT_EQ(shown(prepared), "\nQ: what");
  EXPECT_FALSE(prepared.answer.retrieval.empty);
  query.passages = std::vector<InlinePassage>();
  EXPECT_TRUE(prepare(query).answer.retrieval.empty);
}

TEST_F(PreparationTest, APromptThatIsTooLongIsRefusedWithBothFigures) {
  Query query = three_passages();
  query.mode = Mode::kFull;
  const std::size_t whole = prepare(query).input.length();
  EXPECT_EQ(prepare(query, whole).input.length(), whole);
  try {
    prepare(query, whole - 1);
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kContextLengthExceeded);
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(whole)));
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(whole - 1)));
  }
}

TEST_F(PreparationTest, ChunksThatCannotStayAreNotEncoded) {
  Query query = three_passages();
  EXPECT_THROW(prepare(query, 10), Error);
  EXPECT_EQ(runner_->encoded_chunks(), 0u);
  query.truncate = true;
  EXPECT_EQ(prepare(query, 11).answer.usage.encoded_chunks, 2u);
}

TEST(SmallVocabularyTest, TokensWithoutAnEmbeddingAreRefusedByName) {
  FakeModel model = bare_model();
  model.vocab_size = testing::FakeTokenizer::kFirstByte + 'y';
  const Preparation preparation(std::make_shared<FakeRunner>(model), nullptr, kRoom, [] { return LatencyModel(); });
  Query query = three_passages();
  query.mode = Mode::kNone;
  PhaseClock clock(Clock::now());
  EXPECT_NO_THROW(preparation.prepare(query, clock, [] {}));
  query.question = "why";
  try {
    preparation.prepare(query, clock, [] {});
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_THAT(error.what(), HasSubstr("the token y"));
  }
}

TEST_F(PreparationTest, WorkOnPassagesEndsWhereTheRequestEnds) {
  const auto looks_until = [&](std::size_t last) {
    Query query = three_passages();
    query.passages = {{"long", "", std::string(4 * 600, 'a')}, {"b", "", "bbbb"}};
    std::size_t looks = 0;
    try {
      prepare(query, kRoom, [&] {
        if (++looks == last) throw Error(ErrorCode::kCancelled, "gone");
      });
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCancelled);
    }
    return runner_->encoded_chunks();
  };
  EXPECT_EQ(looks_until(3), 0u) << "one look before anything and one a passage";
  EXPECT_EQ(looks_until(5), 256u) << "and one a slice of chunks";
}

TEST_F(PreparationTest, TruncatingDropsTheLastRankedPassages) {
  Query query = three_passages();
  query.mode = Mode::kFull;
  query.truncate = true;
  const PreparedRequest prepared = prepare(query, 25);
  EXPECT_EQ(shown(prepared), "bbbbBB\naaaaAAAA\nQ: what");
  EXPECT_EQ(prepared.answer.usage.dropped_passages, 1u);
  EXPECT_EQ(prepared.answer.retrieval.hits.size(), 2u);
  EXPECT_EQ(shown(prepare(query, 8)), "Q: what");
  EXPECT_THROW(prepare(query, 7), Error);
}

TEST_F(PreparationTest, TruncatingKeepsTheMeaningOfForcedIds) {
  Query query = three_passages();
  query.expand = {};
  query.expand.by = ExpandBy::kIds;
  query.expand.ids = {{0, 0}, {2, 1}};  // of "c", which goes, and of "a"
  query.truncate = true;
  EXPECT_EQ(shown(prepare(query, 19)), "**\n*AAAA\nQ: what");
}

TEST_F(PreparationTest, AfterTruncationThePromptIsAsIfTheRestHadNeverBeenFound) {
  Query query = three_passages();
  query.expand.fraction = 0.5;
  query.truncate = true;
  const PreparedRequest truncated = prepare(query, 20);
  query.passages->resize(truncated.answer.retrieval.hits.size());
  const PreparedRequest alone = prepare(query);
  EXPECT_GT(truncated.answer.usage.dropped_passages, 0u);
  EXPECT_THAT(truncated.input.entries(), ::testing::ElementsAreArray(alone.input.entries()));
  EXPECT_EQ(truncated.projected.values, alone.projected.values);
}

/// A tokenizer that finds nothing in any text, as some do in white space.
class EmptyTokenizer : public testing::FakeTokenizer {
 public:
  Encoding encode_pieces(const std::vector<TextPiece>&) const override { return {}; }
  std::optional<TokenId> bos() const override { return std::nullopt; }
};
class EmptyRunner : public FakeRunner {
 public:
  EmptyRunner() : FakeRunner(bare_model()), info_(FakeRunner::info()) {
    info_.tokenizer = std::make_shared<EmptyTokenizer>();
  }
  const ModelInfo& info() const override { return info_; }

 private:
  ModelInfo info_;
};

TEST_F(PreparationTest, APromptWithoutTokensIsRefused) {
  runner_ = std::make_shared<EmptyRunner>();
  EXPECT_EQ(refused_param([&] { prepare(three_passages()); }), "question");
  Query query = three_passages();
  query.mode = Mode::kNone;
  EXPECT_EQ(refused_param([&] { prepare(query); }), "question");
}

TEST_F(PreparationTest, GivingUpBetweenPhasesStopsThePreparation) {
  const Preparation preparation(runner_, nullptr, kRoom, [] { return LatencyModel(); });
  PhaseClock clock(Clock::now());
  const auto give_up = [] { throw Error(ErrorCode::kCancelled, "cancelled"); };
  EXPECT_THROW(preparation.prepare(three_passages(), clock, give_up), Error);
  EXPECT_EQ(runner_->encoded_chunks(), 0u);
}

TEST(PhaseClockTest, PhasesAddUpToTheWhole) {
  const Clock::time_point start = Clock::now();
  PhaseClock clock(start);
  double first = 0;
  double second = 0;
  clock.charge(first);
  clock.charge(second);
  clock.charge(first);
  const double elapsed = clock.elapsed_ms();
  EXPECT_GE(first, 0);
  EXPECT_GE(second, 0);
  EXPECT_LE(first + second, elapsed);
}

}  // namespace
}  // namespace refrag

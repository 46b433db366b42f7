#include "refrag/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "engine/ranking.h"
#include "unit/engine/engine_fixture.h"

namespace refrag {
namespace {

using testing::ask_about;
using testing::bare_model;
using testing::EngineTest;
using testing::error_of;
using ::testing::HasSubstr;
using testing::Listener;
using testing::reference_answer;

// ------------------------------------------------------------------------------------------------ while decoding

std::vector<ExpansionEvent> expansions_of(const std::vector<Event>& events) {
  std::vector<ExpansionEvent> found;
  for (const Event& event : events) {
    if (const auto* expansion = std::get_if<ExpansionEvent>(&event)) found.push_back(*expansion);
  }
  return found;
}

TEST_F(EngineTest, EverySoManyTokensTheBestCompressedChunksAreExpanded) {
  start();
  Query query = ask_about("why?");
  query.expand.while_decoding.every = 5;
  query.expand.while_decoding.max_new = 2;
  Listener listener;
  engine_->submit(query, listener.hear());
  const Answer answer = listener.wait_for_answer();
  const std::vector<ExpansionEvent> expansions = expansions_of(listener.events());
  ASSERT_EQ(expansions.size(), 4u);
  for (std::size_t n = 0; n < 4; ++n) {
    EXPECT_EQ(expansions[n].at_token, 5 * (n + 1));
    EXPECT_EQ(expansions[n].chunks.size(), 2u);
  }
  EXPECT_EQ(answer.usage.expanded_while_decoding, 8u);
  EXPECT_EQ(answer.text, reference_answer(*runner_, query, expansions));

  const ChunkRef first = expansions[0].chunks[0];
  const ChunkReport& report = answer.retrieval.hits[1 - first.passage].chunks[first.chunk];  // best last
  EXPECT_EQ(report.state, ChunkState::kExpandedWhileDecoding);
  EXPECT_EQ(report.reason, "during decoding at token 5, rank 1");
}

TEST_F(EngineTest, AfterAnExpansionTokensEqualThoseOfTheFinalLayoutWithTheSamePrefix) {
  start();
  Query query = ask_about("why?");
  query.expand.while_decoding.every = 9;
  Listener listener;
  engine_->submit(query, listener.hear());
  const Answer answer = listener.wait_for_answer();
  const ExpansionEvent last = expansions_of(listener.events()).back();
  std::vector<std::string> tokens;
  for (const Event& event : listener.events()) {
    if (const auto* token = std::get_if<TokenEvent>(&event)) tokens.push_back(token->text);
  }

  // The same chunks expanded before decoding, and what was said before the expansion put into the question's place.
  Query forced = query;
  forced.expand = {};
  forced.expand.by = ExpandBy::kIds;
  for (std::size_t hit = 0; hit < 2; ++hit) {
    for (std::size_t chunk = 0; chunk < answer.retrieval.hits[hit].chunks.size(); ++chunk) {
      if (answer.retrieval.hits[hit].chunks[chunk].state == ChunkState::kCompressed) continue;
      forced.expand.ids.push_back({1 - hit, chunk});
    }
  }
  const Preparation preparation(runner_, nullptr, 1000, [] { return LatencyModel(); });
  PhaseClock clock(Clock::now());
  PreparedRequest prepared = preparation.prepare(forced, clock, [] {});
  ASSERT_NE(tokens.front(), "") << "the prefix is taken from the text: its first token must not be white space";
  for (std::size_t n = 0; n < query.max_tokens; ++n) {
    const std::vector<float> logits = runner_->logits_after(prepared.input.entries(), &prepared.projected);
    const auto best = static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    const TokenId said = *runner_->info().tokenizer->id_of(tokens[n]);
    if (n >= last.at_token) {
      EXPECT_EQ(best, said) << "token " << n;
    }
    prepared.input.add_tokens({&said, 1});
  }
}

TEST_F(EngineTest, OnlyWhatLiesBehindTheFirstExpandedChunkIsComputedAgain) {
  start();
  Query query = ask_about("why?");
  query.expand.fraction = 0;
  query.expand.by = ExpandBy::kFirst;
  query.expand.while_decoding.every = 10;
  query.expand.while_decoding.max_new = 1;
  query.max_tokens = 12;
  const Answer answer = engine_->ask(query);
  std::vector<std::size_t> starts;
  std::size_t end = 0;
  for (const auto& shares : runner_->steps()) {
    if (shares.at(0).start < end) starts.push_back(shares[0].start);
    end = shares[0].start + shares[0].count;
  }
  EXPECT_THAT(starts, ::testing::ElementsAre(1u)) << "cut back once, to the first chunk, behind BOS";
  EXPECT_EQ(end, answer.usage.prompt_positions + 3 + 11) << "a chunk of 4 tokens, and all tokens but the last";
}

TEST_F(EngineTest, ALookEncodesOnlyWhatWasSaidSinceTheLast) {
  start();
  Query query = ask_about("why?");
  query.expand.fraction = 0.1;  // the policy reads the question
  const std::size_t question_chunks = [&] {
    engine_->ask(query);
    return runner_->encoded_chunks() - 14;  // those of the passages
  }();
  query.expand.fraction = 0;
  const std::size_t before = runner_->encoded_chunks();
  query.expand.while_decoding.every = 4;  // as long as a chunk
  query.expand.while_decoding.max_new = 1;
  engine_->ask(query);
  const std::size_t looks = (query.max_tokens - 1) / 4;
  EXPECT_LE(runner_->encoded_chunks() - before, 14 + question_chunks + question_chunks + 2 * looks);
}

TEST_F(EngineTest, TheChoiceWhileDecodingIsThatOfQuestionAndAnswerReadWhole) {
  start();
  Query query = ask_about("why?");
  query.expand.fraction = 0;
  query.expand.while_decoding.every = 7;  // not a multiple of the chunk size
  query.expand.while_decoding.max_new = 1;
  Listener listener;
  engine_->submit(query, listener.hear());
  listener.wait_for_answer();

  const Preparation preparation(runner_, nullptr, 1000, [] { return LatencyModel(); });
  PhaseClock clock(Clock::now());
  PreparedRequest prepared = preparation.prepare(query, clock, [] {});
  std::vector<TokenId> read = prepared.policy_query;
  std::vector<ExpansionEvent> expected;
  for (const Event& event : listener.events()) {
    const auto* token = std::get_if<TokenEvent>(&event);
    if (token == nullptr) continue;
    if (token->index > 0 && token->index % 7 == 0) {
      const Matrix question = encode_query(read, *runner_);
      const Ranking ranking =
          rank_chunks(ExpandBy::kPolicy, {question, prepared.chunk_vectors, &prepared.projected}, 0, *runner_);
      std::size_t n = 0;
      while (prepared.input.is_expanded(ranking.order[n])) ++n;
      prepared.input.expand(ranking.order[n]);
      expected.push_back({token->index, {prepared.input.ref(ranking.order[n])}});
    }
    read.push_back(*runner_->info().tokenizer->id_of(token->text));
  }
  const std::vector<ExpansionEvent> found = expansions_of(listener.events());
  ASSERT_EQ(found.size(), 3u);
  for (std::size_t n = 0; n < found.size(); ++n) EXPECT_EQ(found[n].chunks, expected[n].chunks) << n;
}

TEST_F(EngineTest, HighEntropyAsksForMoreBeforeTheTokenIsChosen) {
  start();
  Query query = ask_about("why?");
  query.expand.while_decoding.entropy = 0.01;  // babble is always uncertain
  query.expand.while_decoding.max_new = 1;
  Listener listener;
  engine_->submit(query, listener.hear());
  const Answer answer = listener.wait_for_answer();
  const std::vector<ExpansionEvent> expansions = expansions_of(listener.events());
  ASSERT_GE(expansions.size(), 2u);
  EXPECT_EQ(expansions[0].at_token, 0u);
  EXPECT_EQ(expansions[1].at_token, 1u) << "one look a token";
  EXPECT_EQ(answer.text, reference_answer(*runner_, query, expansions));

  query.expand.while_decoding.entropy = 100;
  EXPECT_EQ(engine_->ask(query).usage.expanded_while_decoding, 0u);
}

TEST_F(EngineTest, ExpansionsStopWhereEverythingIsExpandedOrTheContextIsFull) {
  start();
  Query query = ask_about("why?");
  query.expand.while_decoding.every = 1;
  query.expand.while_decoding.max_new = 100;
  const Answer whole = engine_->ask(query);
  EXPECT_EQ(whole.usage.expanded + whole.usage.expanded_while_decoding, whole.usage.chunks);

  EngineConfig config;
  config.max_context = whole.usage.prompt_positions + 26;
  start(bare_model(), config);
  const Answer tight = engine_->ask(query);
  EXPECT_LT(tight.usage.expanded_while_decoding, whole.usage.expanded_while_decoding);
  EXPECT_GT(tight.usage.expanded_while_decoding, 0u);
}

TEST_F(EngineTest, ExpansionsOfRequestsSideBySideDoNotDisturbEachOther) {
  EngineConfig config;
  config.kv_cache_bytes = 64 * 200;
  start(bare_model(), config);
  const std::vector<std::string> questions = {"one", "two", "three"};
  std::vector<Listener> listeners(questions.size());
  std::vector<Query> queries;
  for (const std::string& question : questions) {
    queries.push_back(ask_about(question));
    queries.back().expand.while_decoding.every = 3 + queries.size();
  }
  for (std::size_t n = 0; n < queries.size(); ++n) engine_->submit(queries[n], listeners[n].hear());
  for (std::size_t n = 0; n < queries.size(); ++n) {
    const std::string text = listeners[n].wait_for_answer().text;
    EXPECT_EQ(text, reference_answer(*runner_, queries[n], expansions_of(listeners[n].events())));
  }
}

// ------------------------------------------------------------------------------------------------ latency

TEST_F(EngineTest, DestroyingTheEngineDoesNotWaitForAMeasurement) {
  start();
  Query query = ask_about("why?");
  query.expand = {};
  query.expand.ttft_ms = 60000;
  runner_->step_gate().close();
  Listener listener;
  engine_->submit(query, listener.hear());
  runner_->step_gate().wait_for_arrival();  // in the measurement
  std::thread destroyer([this] { engine_.reset(); });
  EXPECT_EQ(listener.wait_for_answer().finish_reason, FinishReason::kCancelled);
  runner_->step_gate().open();
  destroyer.join();
  EXPECT_LE(runner_->steps().size(), 2u) << "of the one size that was being measured";
}

TEST_F(EngineTest, ATtftTargetMeasuresTheModelOnce) {
  start();
  Query query = ask_about("why?");
  query.expand = {};
  query.expand.ttft_ms = 60000;
  const Answer answer = engine_->ask(query);
  EXPECT_EQ(answer.usage.expanded, answer.usage.chunks);
  EXPECT_THAT(answer.retrieval.hits[0].chunks[0].reason, HasSubstr("the latency model errs"));
  EXPECT_TRUE(engine_->stats().latency_model_error.has_value());
  const std::size_t steps = runner_->steps().size();
  engine_->ask(query);
  EXPECT_EQ(runner_->steps().size(), steps + query.max_tokens);
  EXPECT_EQ(runner_->open_sequences(), 0u);
}

TEST_F(EngineTest, AMeasurementThatFailsFailsTheRequestsThatNeedIt) {
  start();
  Query query = ask_about("why?");
  query.expand = {};
  query.expand.ttft_ms = 60000;
  runner_->fail_next_step("overheated");
  EXPECT_THAT(error_of([&] { engine_->ask(query); }).what(), HasSubstr("overheated"));
  EXPECT_EQ(engine_->ask(ask_about("why?")).finish_reason, FinishReason::kLength);
  EXPECT_EQ(runner_->open_sequences(), 0u);
}

}  // namespace
}  // namespace refrag

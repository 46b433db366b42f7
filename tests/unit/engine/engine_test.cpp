#include "refrag/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include "refrag/error.h"
#include "unit/engine/engine_fixture.h"

namespace refrag {
namespace {

using testing::ask_about;
using testing::ask_in_full;
using testing::bare_model;
using testing::EngineTest;
using testing::error_of;
using testing::FakeModel;
using ::testing::HasSubstr;
using testing::joined_tokens;
using testing::Listener;
using testing::model_that_says;
using testing::reference_answer;
using testing::without_passages;

// ------------------------------------------------------------------------------------------------ answers

TEST_F(EngineTest, AnAnswerEqualsSingleForwardsOverTheWholeSequence) {
  start();
  const Answer answer = engine_->ask(ask_about("why?"));
  EXPECT_EQ(answer.text, reference_answer(*runner_, ask_about("why?")));
  EXPECT_EQ(answer.finish_reason, FinishReason::kLength);
  EXPECT_EQ(answer.usage.completion_tokens, 24u);
  EXPECT_EQ(answer.model, "fake");
  EXPECT_THAT(answer.id, ::testing::StartsWith("q-"));
}

TEST_F(EngineTest, FullAndRefragWithEverythingExpandedAnswerAlike) {
  start();
  Query query = ask_about("why?");
  query.expand.fraction = 1;
  query.logprobs = 3;
  const Answer refrag = engine_->ask(query);
  query.mode = Mode::kFull;
  const Answer full = engine_->ask(query);
  EXPECT_EQ(refrag.text, full.text);
  ASSERT_EQ(refrag.tokens.size(), full.tokens.size());
  for (std::size_t n = 0; n < full.tokens.size(); ++n) EXPECT_EQ(refrag.tokens[n].logprob, full.tokens[n].logprob);
  query.mode = Mode::kRefrag;
  query.expand.fraction = 0;
  EXPECT_NE(engine_->ask(query).text, full.text) << "the model cannot tell vectors from tokens";
}

TEST_F(EngineTest, EventsAreTheRetrievalThenTokensThenTheAnswer) {
  start();
  Listener listener;
  engine_->submit(ask_about("why?"), listener.hear());
  const Answer answer = listener.wait_for_answer();
  const std::vector<Event> events = listener.events();
  ASSERT_EQ(events.size(), 1 + 24 + 1u);
  const auto& retrieval = std::get<RetrievalReport>(events.front());
  EXPECT_EQ(retrieval.hits.at(0).passage_id, "sky");
  EXPECT_FALSE(retrieval.hits.at(0).chunks.at(0).reason.empty());
  EXPECT_EQ(std::get<TokenEvent>(events[5]).index, 4u);
  EXPECT_EQ(joined_tokens(events), answer.text);
}

TEST_F(EngineTest, CitationsNameThePassagesOfThePrompt) {
  start();
  const Answer answer = engine_->ask(ask_about("why?"));
  ASSERT_EQ(answer.citations.size(), 2u);
  EXPECT_EQ(answer.citations[1].document_id, "sea");
  EXPECT_EQ(answer.citations[1].passage_id, "sea");
  EXPECT_EQ(answer.citations[1].start, 0u);
  EXPECT_EQ(answer.citations[1].end, 27u);
}

TEST_F(EngineTest, TheEndTokenEndsTheAnswerAndCounts) {
  start(model_that_says("green"));
  const Answer answer = engine_->ask(ask_about("why?"));
  EXPECT_EQ(answer.text, "green");
  EXPECT_EQ(answer.finish_reason, FinishReason::kStop);
  EXPECT_EQ(answer.usage.completion_tokens, 6u);
}

TEST_F(EngineTest, LeadingWhiteSpaceIsDroppedFromAnswerAndStreamAlike) {
  start(model_that_says(" \n deep green"));
  Listener listener;
  engine_->submit(ask_about("why?"), listener.hear());
  EXPECT_EQ(listener.wait_for_answer().text, "deep green");
  EXPECT_EQ(joined_tokens(listener.events()), "deep green");
}

TEST_F(EngineTest, ARawPromptIsContinuedAsItIs) {
  start(model_that_says(" deep green"));
  Query query = without_passages("The sea was");
  query.raw_prompt = true;
  EXPECT_EQ(engine_->ask(query).text, " deep green");
}

TEST_F(EngineTest, StreamedPiecesAreWholeCharacters) {
  start(model_that_says("žluť 😀!"));
  Listener listener;
  engine_->submit(ask_about("why?"), listener.hear());
  EXPECT_EQ(listener.wait_for_answer().text, "žluť 😀!");
  std::vector<std::string> pieces;
  for (const Event& event : listener.events()) {
    const auto* token = std::get_if<TokenEvent>(&event);
    if (token != nullptr && !token->text.empty()) pieces.push_back(token->text);
  }
  EXPECT_THAT(pieces, ::testing::ElementsAre("ž", "l", "u", "ť", " ", "😀", "!"));
}

TEST_F(EngineTest, AnUnfinishedCharacterAtTheEndIsReplaced) {
  start(model_that_says("a😀"));
  Query query = ask_about("why?");
  query.max_tokens = 3;
  EXPECT_EQ(engine_->ask(query).text, "a\xEF\xBF\xBD");
}

TEST_F(EngineTest, AStopStringEndsTheAnswerAndIsNeverStreamed) {
  start(model_that_says("one two three"));
  Query query = ask_about("why?");
  query.stop = {"xyz", "o th"};
  Listener listener;
  engine_->submit(query, listener.hear());
  const Answer answer = listener.wait_for_answer();
  EXPECT_EQ(answer.text, "one tw");
  EXPECT_EQ(joined_tokens(listener.events()), "one tw");
  EXPECT_EQ(answer.finish_reason, FinishReason::kStop);
}

TEST_F(EngineTest, TextThatWasHeldBackComesAtTheEnd) {
  start(model_that_says("one two"));
  Query query = ask_about("why?");
  query.stop = {"two three"};
  Listener listener;
  engine_->submit(query, listener.hear());
  EXPECT_EQ(listener.wait_for_answer().text, "one two");
  EXPECT_EQ(joined_tokens(listener.events()), "one two");
}

TEST_F(EngineTest, LogProbabilitiesComeOnRequest) {
  start(model_that_says("no"));
  Query query = ask_about("why?");
  EXPECT_TRUE(engine_->ask(query).tokens.empty());
  query.logprobs = 2;
  const Answer answer = engine_->ask(query);
  ASSERT_EQ(answer.tokens.size(), 2u);
  ASSERT_EQ(answer.tokens[0].top.size(), 2u);
  EXPECT_EQ(answer.tokens[0].top[0].text, "n");
  EXPECT_EQ(answer.tokens[0].top[0].logprob, answer.tokens[0].logprob);
  EXPECT_GT(answer.tokens[0].top[0].logprob, answer.tokens[0].top[1].logprob);
}

TEST_F(EngineTest, TheSameSeedGivesTheSameAnswerBesideOtherRequests) {
  start();
  Query query = ask_about("why?");
  query.sampling.temperature = 1;
  query.sampling.seed = 5;
  const std::string alone = engine_->ask(query).text;
  std::vector<Listener> others(3);
  for (Listener& other : others) engine_->submit(ask_about("what else?"), other.hear());
  EXPECT_EQ(engine_->ask(query).text, alone);
  for (Listener& other : others) other.wait_for_end();
  query.sampling.seed = 6;
  EXPECT_NE(engine_->ask(query).text, alone);
}

TEST_F(EngineTest, TimingsAndUsageAreWhole) {
  start();
  const Answer answer = engine_->ask(ask_about("why?"));
  const Timings& t = answer.timings;
  const double phases = t.queue + t.retrieve + t.lookup + t.encode + t.project + t.policy + t.prefill;
  EXPECT_GT(phases, 0);
  EXPECT_LE(phases, t.ttft);
  EXPECT_LE(t.ttft, t.total);
  EXPECT_GT(t.per_token, 0);
  EXPECT_EQ(answer.usage.expanded, 4u);  // a quarter of 14 chunks: 3.5, to even
  EXPECT_LT(answer.usage.prompt_positions, answer.usage.question_tokens + answer.usage.context_tokens);
}

TEST_F(EngineTest, TimingsBeginWhereTheRequestArrived) {
  start();
  Query query = ask_about("why?");
  query.arrived = std::chrono::steady_clock::now() - std::chrono::seconds(5);
  const Answer answer = engine_->ask(query);
  EXPECT_GE(answer.timings.ttft, 5000);
  EXPECT_GE(answer.timings.queue, 5000);
}

TEST_F(EngineTest, ThreadsThatHaveNothingToDoRest) {
  start();
  engine_->ask(ask_about("why?"));
  engine_.reset();
  EXPECT_EQ(runner_->threads_that_rested(), 3u) << "ours, the one that prepares and the one that steps";
}

// ------------------------------------------------------------------------------------------------ faults

TEST_F(EngineTest, AStepThatThrowsFailsItsRequestsAndTheEngineGoesOn) {
  start();
  runner_->fail_next_step("out of order");
  const Error error = error_of([&] { engine_->ask(ask_about("why?")); });
  EXPECT_THAT(error.what(), HasSubstr("out of order"));
  EXPECT_EQ(engine_->ask(ask_about("why?")).usage.completion_tokens, 24u);
  EXPECT_EQ(engine_->stats().failed, 1u);
  EXPECT_EQ(runner_->open_sequences(), 0u);
}

TEST_F(EngineTest, AStepThatThrowsEndsOnlyTheRequestWhoseFaultItIs) {
  FakeModel model = bare_model();
  model.poison = testing::FakeTokenizer::kFirstByte + '~';
  start(model);
  runner_->step_gate().close();
  std::vector<Listener> listeners(3);
  const std::vector<std::string> questions = {"one", "tw~", "three"};
  for (std::size_t n = 0; n < 3; ++n) engine_->submit(ask_in_full(questions[n]), listeners[n].hear());
  wait_until_prepared();
  runner_->step_gate().open();
  EXPECT_THAT(std::get<Error>(listeners[1].wait_for_end()).what(), HasSubstr("poisoned"));
  EXPECT_EQ(listeners[0].wait_for_answer().text, reference_answer(*runner_, ask_in_full("one")));
  EXPECT_EQ(listeners[2].wait_for_answer().text, reference_answer(*runner_, ask_in_full("three")));
  runner_->encode_gate().open();
}

TEST_F(EngineTest, LongPromptsAreComputedInSeveralSteps) {
  EngineConfig config;
  config.max_step_positions = 7;
  start(bare_model(), config);
  EXPECT_EQ(engine_->ask(ask_in_full("why?")).text, reference_answer(*runner_, ask_in_full("why?")));
  for (const auto& shares : runner_->steps()) EXPECT_LE(shares.at(0).count, 7u);
  EXPECT_EQ(engine_->ask(ask_about("why?")).text, reference_answer(*runner_, ask_about("why?")));
}

TEST_F(EngineTest, ARequestThatWaitsOutlivesTheStepThatFails) {
  EngineConfig config;
  config.max_running = 1;
  start(bare_model(), config);
  runner_->step_gate().close();
  Listener running;
  Listener waiting;
  engine_->submit(ask_about("one"), running.hear());
  runner_->step_gate().wait_for_arrival();
  engine_->submit(ask_about("two"), waiting.hear());
  runner_->fail_next_step("out of order");
  runner_->step_gate().open();
  EXPECT_TRUE(std::holds_alternative<Error>(running.wait_for_end()));
  EXPECT_EQ(waiting.wait_for_answer().text, reference_answer(*runner_, ask_about("two")));
}

TEST_F(EngineTest, ASequenceThatGetsNoMemoryFailsAlone) {
  start();
  runner_->step_gate().close();
  Listener first;
  Listener second;
  engine_->submit(ask_about("one"), first.hear());
  runner_->step_gate().wait_for_arrival();
  runner_->fail_next_open("no memory");
  engine_->submit(ask_about("two"), second.hear());
  runner_->step_gate().open();
  EXPECT_THAT(std::get<Error>(second.wait_for_end()).what(), HasSubstr("no memory"));
  EXPECT_EQ(first.wait_for_answer().text, reference_answer(*runner_, ask_about("one")));
  EXPECT_EQ(engine_->ask(ask_about("three")).finish_reason, FinishReason::kLength);
  EXPECT_EQ(engine_->stats().running, 0u);
}

TEST_F(EngineTest, APreparationThatThrowsFailsItsRequestAlone) {
  start();
  runner_->fail_next_encode("no memory");
  EXPECT_THAT(error_of([&] { engine_->ask(ask_about("why?")); }).what(), HasSubstr("no memory"));
  EXPECT_EQ(engine_->ask(ask_about("why?")).usage.completion_tokens, 24u);
}

TEST_F(EngineTest, AListenerThatThrowsCancelsItsOwnRequest) {
  start();
  std::promise<Answer> last;
  engine_->submit(ask_about("why?"), [&](const Event& event) {
    if (const auto* answer = std::get_if<Answer>(&event)) last.set_value(*answer);
    throw std::runtime_error("a fault of the listener");
  });
  EXPECT_EQ(last.get_future().get().finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(engine_->ask(ask_about("why?")).finish_reason, FinishReason::kLength);
}

TEST_F(EngineTest, WrongFieldsAreRefusedAtOnceByName) {
  start();
  const auto param_of = [&](const std::function<void(Query&)>& change) {
    Query query = ask_about("why?");
    change(query);
    const Error error = error_of([&] { engine_->submit(query, [](const Event&) {}); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    return error.param();
  };
  EXPECT_EQ(param_of([](Query& q) { q.question.clear(); }), "question");
  EXPECT_EQ(param_of([](Query& q) { q.question = "\xc3("; }), "question");
  EXPECT_EQ(param_of([](Query& q) { q.max_tokens = 0; }), "max_tokens");
  EXPECT_EQ(param_of([](Query& q) { q.max_tokens = 1u << 20; }), "max_tokens");
  EXPECT_EQ(param_of([](Query& q) { q.logprobs = 21; }), "logprobs");
  EXPECT_EQ(param_of([](Query& q) { q.sampling.temperature = -1; }), "temperature");
  EXPECT_EQ(param_of([](Query& q) { q.sampling.top_p = 0; }), "top_p");
  EXPECT_EQ(param_of([](Query& q) { q.sampling.min_p = 1.5; }), "min_p");
  EXPECT_EQ(param_of([](Query& q) { q.sampling.repetition_penalty = 0; }), "repetition_penalty");
  EXPECT_EQ(param_of([](Query& q) { q.stop = {"ok", ""}; }), "stop[1]");
  EXPECT_EQ(param_of([](Query& q) { q.stop = {"\xff"}; }), "stop[0]");
  EXPECT_EQ(param_of([](Query& q) { q.history = {{"robot", "hi"}}; }), "history[0].role");
  EXPECT_EQ(param_of([](Query& q) { q.history = {{"user", "\xff"}}; }), "history[0].content");
  EXPECT_EQ(param_of([](Query& q) { q.expand.fraction = 2; }), "expand.fraction");
  EXPECT_EQ(param_of([](Query& q) { q.raw_prompt = true; }), "passages");
  EXPECT_EQ(engine_->stats().requests, 0u);
}

TEST_F(EngineTest, WhatTheModelCannotDoIsRefusedByName) {
  FakeModel model = bare_model();
  model.has_policy = false;
  start(model);
  Query query = ask_about("why?");
  EXPECT_EQ(error_of([&] { engine_->ask(query); }).param(), "expand.by");
  query.expand.fraction = 1;
  engine_->ask(query);
  query.expand.fraction = 0.5;
  query.expand.by = ExpandBy::kSimilarity;
  engine_->ask(query);

  model.chunk_size = 0;
  start(model);
  const Error error = error_of([&] { engine_->ask(query); });
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_EQ(error.param(), "mode");
  query.mode = Mode::kFull;
  EXPECT_EQ(engine_->ask(query).usage.chunks, 2u) << "a passage is one chunk";
}

TEST_F(EngineTest, ASequenceThatDoesNotFitEvenAloneIsRefusedAndOneThatGrowsTooLongEnds) {
  EngineConfig config;
  config.kv_cache_bytes = 64 * 20;
  start(bare_model(), config);
  const Error error = error_of([&] { engine_->ask(ask_about("why?")); });
  EXPECT_EQ(error.code(), ErrorCode::kContextLengthExceeded);
  EXPECT_THAT(error.what(), HasSubstr("20"));
  const Answer answer = engine_->ask(without_passages("why?"));  // 12 positions of prompt
  EXPECT_EQ(answer.finish_reason, FinishReason::kLength);
  EXPECT_EQ(answer.usage.prompt_positions + answer.usage.completion_tokens, 21u) << "the last token is not read again";
}

// ------------------------------------------------------------------------------------------------ streams

TEST_F(EngineTest, AStreamGivesTheEventsInOrderAndEnds) {
  start(model_that_says("deep green"));
  std::string text;
  std::string answer;
  AnswerStream stream = engine_->stream(ask_about("why?"));
  for (const Event& event : stream) {
    if (const auto* token = std::get_if<TokenEvent>(&event)) text += token->text;
    if (const auto* whole = std::get_if<Answer>(&event)) answer = whole->text;
  }
  EXPECT_EQ(text, "deep green");
  EXPECT_EQ(answer, "deep green");
  EXPECT_FALSE(stream.next().has_value());
}

TEST_F(EngineTest, AReaderThatFallsBehindIsCancelled) {
  EngineConfig config;
  config.max_event_backlog = 4;
  start(bare_model(), config);
  AnswerStream stream = engine_->stream(ask_about("why?"));
  EXPECT_TRUE(engine_->drain(60000));
  std::vector<Event> events;
  while (std::optional<Event> event = stream.next()) events.push_back(*event);
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(std::get<Answer>(events.back()).finish_reason, FinishReason::kCancelled);
}

TEST_F(EngineTest, DestroyingAStreamCancelsItsRequest) {
  start_endless();
  { AnswerStream stream = engine_->stream(endless()); }
  EXPECT_TRUE(engine_->drain(60000));
  EXPECT_EQ(engine_->stats().cancelled, 1u);
}

TEST_F(EngineTest, AStreamOutlivesItsEngine) {
  start();
  AnswerStream stream = engine_->stream(ask_about("why?"));
  engine_.reset();
  std::optional<Event> last;
  while (std::optional<Event> event = stream.next()) last = event;
  EXPECT_TRUE(std::holds_alternative<Answer>(*last));
}

}  // namespace
}  // namespace refrag

#include "refrag/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>
#include <set>
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
using testing::FakeStepShare;
using testing::joined_tokens;
using testing::Listener;
using testing::reference_answer;
using testing::without_passages;

// ------------------------------------------------------------------------------------------------ side by side

TEST_F(EngineTest, RequestsRunInterleavedTokenByToken) {
  start();
  runner_->step_gate().close();
  Listener first;
  Listener second;
  engine_->submit(ask_in_full("one"), first.hear());
  engine_->submit(ask_in_full("two"), second.hear());
  wait_until_prepared();
  runner_->step_gate().open();
  const std::string one = first.wait_for_answer().text;
  const std::string two = second.wait_for_answer().text;
  EXPECT_EQ(one, reference_answer(*runner_, ask_in_full("one")));
  EXPECT_EQ(two, reference_answer(*runner_, ask_in_full("two")));
  const auto steps = runner_->steps();
  EXPECT_GE(std::count_if(steps.begin(), steps.end(), [](const auto& shares) { return shares.size() == 2; }), 20)
      << "the second decodes beside the first";
  runner_->encode_gate().open();
  EXPECT_TRUE(engine_->drain(60000));
  EXPECT_EQ(runner_->open_sequences(), 0u);
}

TEST_F(EngineTest, WhereMemoryRunsOutRequestsTakeTurnsAndAnswerTheSame) {
  start();
  const std::vector<std::string> questions = {"one", "two", "three", "four"};
  std::vector<std::string> expected;
  for (const std::string& question : questions) expected.push_back(engine_->ask(ask_in_full(question)).text);
  const std::size_t prompt = engine_->ask(ask_in_full("three")).usage.prompt_positions;

  EngineConfig config;
  config.kv_cache_bytes = 64 * (2 * prompt + 20);  // two prompts and their headroom, but not two whole answers
  start(bare_model(), config);
  runner_->step_gate().close();
  std::vector<Listener> listeners(questions.size());
  for (std::size_t n = 0; n < questions.size(); ++n) engine_->submit(ask_in_full(questions[n]), listeners[n].hear());
  wait_until_prepared();
  runner_->step_gate().open();
  for (std::size_t n = 0; n < questions.size(); ++n) EXPECT_EQ(listeners[n].wait_for_answer().text, expected[n]);
  std::set<SequenceId> sequences;
  for (const auto& shares : runner_->steps()) {
    for (const FakeStepShare& share : shares) sequences.insert(share.sequence);
  }
  EXPECT_GT(sequences.size(), questions.size()) << "some were sent back and computed again";
  runner_->encode_gate().open();
}

TEST_F(EngineTest, PreparingOneRequestDoesNotHoldUpAnother) {
  start();
  runner_->encode_gate().close();
  Listener slow;
  Listener quick;
  runner_->step_gate().close();
  engine_->submit(without_passages("quick"), quick.hear());
  engine_->submit(ask_about("slow"), slow.hear());
  runner_->encode_gate().wait_for_arrival();
  runner_->step_gate().open();
  EXPECT_EQ(quick.wait_for_answer().usage.completion_tokens, 24u);
  EXPECT_TRUE(slow.events().empty());
  runner_->encode_gate().open();
  slow.wait_for_answer();
}

// ------------------------------------------------------------------------------------------------ the queue

TEST_F(EngineTest, ACancelledRequestEndsWithWhatItHas) {
  start_endless();
  Listener listener;
  const RequestId id = engine_->submit(endless(), listener.hear());
  listener.wait_for_tokens(3);
  engine_->cancel(id);
  const Answer answer = listener.wait_for_answer();
  EXPECT_EQ(answer.finish_reason, FinishReason::kCancelled);
  EXPECT_GE(answer.usage.completion_tokens, 3u);
  EXPECT_EQ(answer.text, joined_tokens(listener.events()));
  engine_->cancel(id);
  engine_->cancel(12345);
  EXPECT_EQ(engine_->stats().cancelled, 1u);
  EXPECT_EQ(runner_->open_sequences(), 0u);
}

TEST_F(EngineTest, ARequestThatIsCancelledWhileItWaitsCostsNoStep) {
  EngineConfig config;
  config.max_running = 1;
  start(bare_model(), config);
  runner_->step_gate().close();
  Listener running;
  Listener waiting;
  engine_->submit(ask_about("one"), running.hear());
  runner_->step_gate().wait_for_arrival();
  engine_->cancel(engine_->submit(ask_about("two"), waiting.hear()));
  runner_->step_gate().open();
  EXPECT_EQ(waiting.wait_for_answer().finish_reason, FinishReason::kCancelled);
  EXPECT_EQ(running.wait_for_answer().finish_reason, FinishReason::kLength);
  for (const auto& shares : runner_->steps()) EXPECT_EQ(shares.size(), 1u);
}

TEST_F(EngineTest, ARequestThatIsCancelledWhileItIsPreparedNeverReachesTheModel) {
  start();
  runner_->encode_gate().close();
  Listener in_preparation;
  Listener behind_it;
  const RequestId first = engine_->submit(ask_about("one"), in_preparation.hear());
  runner_->encode_gate().wait_for_arrival();
  const RequestId second = engine_->submit(ask_about("two"), behind_it.hear());
  engine_->cancel(first);
  engine_->cancel(second);
  runner_->encode_gate().open();
  EXPECT_EQ(in_preparation.wait_for_answer().finish_reason, FinishReason::kCancelled);
  const Answer unprepared = behind_it.wait_for_answer();
  EXPECT_EQ(unprepared.finish_reason, FinishReason::kCancelled);
  EXPECT_TRUE(unprepared.retrieval.empty);
  EXPECT_EQ(unprepared.model, "fake");
  EXPECT_EQ(behind_it.events().size(), 1u) << "no retrieval, no token";
  EXPECT_TRUE(runner_->steps().empty());
  EXPECT_EQ(engine_->stats().cancelled, 2u);
}

TEST_F(EngineTest, AFullQueueRefusesAtOnce) {
  EngineConfig config;
  config.max_running = 1;
  config.max_queue = 1;
  start(bare_model(), config);
  runner_->step_gate().close();
  Listener running;
  Listener waiting;
  engine_->submit(ask_about("one"), running.hear());
  runner_->step_gate().wait_for_arrival();
  engine_->submit(ask_about("two"), waiting.hear());
  EXPECT_EQ(engine_->stats().running, 1u);
  EXPECT_EQ(engine_->stats().waiting, 1u);
  EXPECT_EQ(error_of([&] { engine_->ask(ask_about("three")); }).code(), ErrorCode::kQueueFull);
  runner_->step_gate().open();
  running.wait_for_answer();
  waiting.wait_for_answer();
  EXPECT_EQ(engine_->ask(ask_about("three")).finish_reason, FinishReason::kLength);
}

TEST_F(EngineTest, DrainingWaitsForTheEndAndRefusesWhatIsNew) {
  start();
  runner_->step_gate().close();
  Listener listener;
  engine_->submit(ask_about("why?"), listener.hear());
  runner_->step_gate().wait_for_arrival();
  EXPECT_FALSE(engine_->drain(0));
  EXPECT_EQ(error_of([&] { engine_->ask(ask_about("why?")); }).code(), ErrorCode::kUnavailable);
  runner_->step_gate().open();
  EXPECT_TRUE(engine_->drain(60000));
  EXPECT_TRUE(std::holds_alternative<Answer>(listener.events().back()));
}

TEST_F(EngineTest, DestroyingTheEngineCancelsWhatRunsAndWhatWaits) {
  start_endless();
  std::vector<Listener> listeners(12);
  for (Listener& listener : listeners) engine_->submit(endless(), listener.hear());
  listeners[0].wait_for_tokens(1);
  engine_.reset();
  for (Listener& listener : listeners) {
    EXPECT_EQ(listener.wait_for_answer().finish_reason, FinishReason::kCancelled);
  }
  EXPECT_EQ(runner_->open_sequences(), 0u);
}

TEST_F(EngineTest, AListenerMayCallTheEngine) {
  start();
  Listener second;
  std::promise<void> submitted;
  engine_->submit(ask_about("one"), [&](const Event& event) {
    if (!std::holds_alternative<Answer>(event)) return;
    engine_->submit(ask_about("two"), second.hear());
    engine_->stats();
    submitted.set_value();
  });
  submitted.get_future().wait();
  EXPECT_EQ(second.wait_for_answer().finish_reason, FinishReason::kLength);
}

TEST_F(EngineTest, StatsAddUpWhatWasAnswered) {
  start();
  const Answer answer = engine_->ask(ask_about("why?"));
  engine_->ask(ask_about("why?"));
  const EngineStats stats = engine_->stats();
  EXPECT_EQ(stats.requests, 2u);
  EXPECT_EQ(stats.waiting + stats.running + stats.failed + stats.cancelled, 0u);
  EXPECT_EQ(stats.prompt_positions, 2 * answer.usage.prompt_positions);
  EXPECT_EQ(stats.prompt_tokens, 2 * (answer.usage.question_tokens + answer.usage.context_tokens));
  EXPECT_EQ(stats.completion_tokens, 48u);
  EXPECT_EQ(stats.chunks, 2 * answer.usage.chunks);
  EXPECT_EQ(stats.expanded_chunks, 8u);
  EXPECT_EQ(stats.encoded_chunks, 2 * answer.usage.chunks);
  EXPECT_GT(stats.kv_cache_bytes_limit, 0u);
  EXPECT_FALSE(stats.latency_model_error.has_value());
}

}  // namespace
}  // namespace refrag

#include "server/generation.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "support/fake_runner.h"

namespace refrag::server {
namespace {

using refrag::testing::FakeModel;
using refrag::testing::FakeRunner;
using std::chrono::milliseconds;

class GenerationTest : public ::testing::Test {
 protected:
  explicit GenerationTest(FakeModel model = {})
      : runner_(std::make_shared<FakeRunner>(model)), engine_(runner_, nullptr) {}
  ~GenerationTest() override { runner_->step_gate().open(); }

  static Query question(std::size_t max_tokens = 500) {
    Query query;
    query.question = "why?";
    query.mode = Mode::kNone;
    query.max_tokens = max_tokens;
    return query;
  }
  void wait_until_cancelled() {
    while (engine_.stats().cancelled == 0) std::this_thread::yield();
  }

  std::shared_ptr<FakeRunner> runner_;
  Engine engine_;
  std::atomic<bool> gone_{false};
  const std::function<bool()> client_gone_ = [this] { return gone_.load(); };
};

ErrorCode code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kInternal;
}

TEST_F(GenerationTest, EventsComeInOrderAndTheAnswerLast) {
  Generation generation(engine_, question(5), client_gone_, true, {});
  std::string text;
  for (;;) {
    const auto event = generation.next(std::chrono::seconds(30));
    ASSERT_TRUE(event);
    if (const auto* token = std::get_if<TokenEvent>(&*event)) text += token->text;
    if (const auto* answer = std::get_if<Answer>(&*event)) {
      EXPECT_EQ(answer->text, text);
      EXPECT_EQ(answer->usage.completion_tokens, 5u);
      return;
    }
  }
}

TEST_F(GenerationTest, AClientThatLeavesEndsItsRequest) {
  runner_->step_gate().close();
  {
    Generation generation(engine_, question(), client_gone_, false, {});
    runner_->step_gate().wait_for_arrival();
    gone_ = true;
    EXPECT_EQ(code_of([&] { generation.answer(); }), ErrorCode::kCancelled);
  }
  runner_->step_gate().open();
  wait_until_cancelled();
}

TEST_F(GenerationTest, NothingComesWhileTheModelThinks) {
  runner_->step_gate().close();
  Generation generation(engine_, question(1), client_gone_, true, {});
  runner_->step_gate().wait_for_arrival();
  EXPECT_TRUE(std::holds_alternative<RetrievalReport>(*generation.next(std::chrono::seconds(30))));
  EXPECT_FALSE(generation.next(milliseconds(1)));
  runner_->step_gate().open();
  EXPECT_EQ(generation.answer().usage.completion_tokens, 1u);
}

TEST_F(GenerationTest, TheTimeLimitEndsTheRequest) {
  runner_->step_gate().close();
  {
    Generation generation(engine_, question(), client_gone_, false, {.time = milliseconds(1)});
    EXPECT_EQ(code_of([&] { generation.answer(); }), ErrorCode::kTimeout);
  }
  runner_->step_gate().open();
  wait_until_cancelled();
}

TEST_F(GenerationTest, AReaderThatFallsBehindLosesItsRequestWhileItSleeps) {
  Generation generation(engine_, question(), client_gone_, true, {.event_backlog = 3});
  wait_until_cancelled();
  EXPECT_EQ(code_of([&] { generation.next(milliseconds(0)); }), ErrorCode::kCancelled);
}

TEST_F(GenerationTest, AnErrorOfTheEngineIsThrownByTheWholeAnswer) {
  runner_->fail_next_step("the model fell over");
  Generation generation(engine_, question(), client_gone_, false, {});
  EXPECT_EQ(code_of([&] { generation.answer(); }), ErrorCode::kInternal);
  EXPECT_EQ(engine_.stats().failed, 1u);
}

}  // namespace
}  // namespace refrag::server

#include "cli/interrupt.h"

#include <gtest/gtest.h>

#include <future>

namespace refrag::cli {
namespace {

/// SIGINT handled as a test wants it; as it was, afterwards.
class HandledAs {
 public:
  explicit HandledAs(void (*handler)(int)) {
    struct sigaction action = {};
    action.sa_handler = handler;
    ::sigaction(SIGINT, &action, &before_);
  }
  HandledAs(const HandledAs&) = delete;
  HandledAs& operator=(const HandledAs&) = delete;
  ~HandledAs() { ::sigaction(SIGINT, &before_, nullptr); }

 private:
  struct sigaction before_ = {};
};

struct sigaction in_force() {
  struct sigaction action = {};
  ::sigaction(SIGINT, nullptr, &action);
  return action;
}

void do_nothing(int) {}

/// Ctrl-C as a terminal's programs have it, whatever the tests were started by: a shell's background job ignores it.
class InterruptTest : public testing::Test {
  const HandledAs as_in_a_terminal_{SIG_DFL};
};

TEST_F(InterruptTest, TheFirstSignalIsNotedAndTheSecondIsNot) {
  const InterruptGuard guard;
  EXPECT_FALSE(InterruptGuard::interrupted());

  std::raise(SIGINT);

  EXPECT_TRUE(InterruptGuard::interrupted());
  EXPECT_EQ(in_force().sa_handler, SIG_DFL);
}

TEST_F(InterruptTest, ASignalEndsAWait) {
  const InterruptGuard guard;
  EXPECT_EQ(in_force().sa_flags & SA_RESTART, 0);
}

TEST_F(InterruptTest, WhatWasIgnoredStaysIgnored) {
  const HandledAs ignored(SIG_IGN);
  const InterruptGuard guard;

  std::raise(SIGINT);

  EXPECT_FALSE(InterruptGuard::interrupted());
}

TEST_F(InterruptTest, WhatWasInForceIsAgain) {
  const HandledAs own(do_nothing);
  { const InterruptGuard guard; }
  EXPECT_EQ(in_force().sa_handler, do_nothing);
}

TEST_F(InterruptTest, AWaitThatNoSignalEndsIsToldOfIt) {
  const InterruptGuard guard;
  std::promise<void> told;
  const std::jthread watch = on_interrupt([&] { told.set_value(); });

  std::raise(SIGINT);

  EXPECT_EQ(told.get_future().wait_for(std::chrono::seconds(30)), std::future_status::ready);
}

TEST_F(InterruptTest, AWatchThatIsNotNeededEndsAtOnceAndActsNot) {
  const InterruptGuard guard;
  bool acted = false;
  {
    const std::jthread watch = on_interrupt([&] { acted = true; });
  }
  EXPECT_FALSE(acted);
}

}  // namespace
}  // namespace refrag::cli

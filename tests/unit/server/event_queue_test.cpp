#include "server/event_queue.h"

#include <gtest/gtest.h>

#include <thread>

namespace refrag::server {
namespace {

using std::chrono::milliseconds;

Event token(std::size_t index) { return TokenEvent{"t", index, {}, {}}; }

TEST(EventQueueTest, EventsComeOutInOrderAcrossThreads) {
  EventQueue queue(1000);
  std::thread writer([&] {
    for (std::size_t n = 0; n < 100; ++n) queue.push(token(n));
  });
  for (std::size_t n = 0; n < 100; ++n) {
    const auto event = queue.pop_for(std::chrono::seconds(30));
    ASSERT_TRUE(event);
    EXPECT_EQ(std::get<TokenEvent>(*event).index, n);
  }
  writer.join();
  EXPECT_FALSE(queue.pop_for(milliseconds(0)));
}

TEST(EventQueueTest, AFullQueueKeepsWhatItHasAndTakesTheLastEvent) {
  EventQueue queue(2);
  EXPECT_TRUE(queue.push(token(0)));
  EXPECT_TRUE(queue.push(token(1)));
  EXPECT_FALSE(queue.overflowed());
  EXPECT_FALSE(queue.push(token(2)));
  EXPECT_TRUE(queue.overflowed());
  EXPECT_TRUE(queue.push(Answer{}));
  EXPECT_EQ(std::get<TokenEvent>(*queue.pop_for(milliseconds(0))).index, 0u);
  EXPECT_EQ(std::get<TokenEvent>(*queue.pop_for(milliseconds(0))).index, 1u);
  EXPECT_TRUE(std::holds_alternative<Answer>(*queue.pop_for(milliseconds(0))));
  EXPECT_FALSE(queue.pop_for(milliseconds(0)));
}

}  // namespace
}  // namespace refrag::server

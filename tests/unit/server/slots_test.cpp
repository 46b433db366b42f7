#include "server/slots.h"

#include <gtest/gtest.h>

#include <optional>
#include <stdexcept>

namespace refrag::server {
namespace {

struct GivenUp : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void give_up() { throw GivenUp("nobody waits any more"); }

TEST(SlotsTest, WhoFindsNoneFreeMayGiveUpWaiting) {
  Slots slots(2);
  const Slot first(slots, give_up);
  std::optional<Slot> second(std::in_place, slots, give_up);
  EXPECT_THROW(Slot(slots, give_up), GivenUp);
  second.reset();
  EXPECT_NO_THROW(Slot(slots, give_up));
}

TEST(SlotsTest, WhoWaitsGetsTheNextThatIsFreed) {
  Slots slots(1);
  std::optional<Slot> first(std::in_place, slots, give_up);
  const Slot second(slots, [&] { first.reset(); });
  EXPECT_FALSE(first);
}

}  // namespace
}  // namespace refrag::server

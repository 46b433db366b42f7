#include "base/message.h"

#include <gtest/gtest.h>

namespace refrag {
namespace {

TEST(MessageTest, JoinsItsPartsAsTheyPrint) {
  EXPECT_EQ(message("top_k is ", 900, "; expected ", 0.5, ' ', std::string("to 256")),
            "top_k is 900; expected 0.5 to 256");
}

}  // namespace
}  // namespace refrag

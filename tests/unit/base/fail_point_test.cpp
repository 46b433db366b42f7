#include "base/fail_point.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>

#include "refrag/error.h"

namespace refrag {
namespace {

TEST(FailPointTest, DoesNothingWhenNotArmed) { EXPECT_NO_THROW(fail_point("test.nothing")); }

TEST(FailPointTest, ThrowsWhileArmedAndOnlyAtItsName) {
  {
    const FailPoint armed("test.here");
    EXPECT_THROW(fail_point("test.here"), Error);
    EXPECT_NO_THROW(fail_point("test.there"));
  }
  EXPECT_NO_THROW(fail_point("test.here"));
}

TEST(FailPointTest, ArmedTwiceItStaysArmedUntilBothEnd) {
  const FailPoint outer("test.here");
  { const FailPoint inner("test.here"); }

  EXPECT_THROW(fail_point("test.here"), Error);
}

// The environment is read once a process, so these run in processes of their own.
class FailPointDeathTest : public ::testing::Test {
 protected:
  void SetUp() override { ::testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(FailPointDeathTest, TheEnvironmentMakesItKill) {
  EXPECT_EXIT(
      {
        setenv("REFRAG_FAIL_POINT", "test.kill:kill", 1);
        fail_point("test.other");
        fail_point("test.kill");
      },
      ::testing::KilledBySignal(SIGKILL), "");
}

TEST_F(FailPointDeathTest, TheEnvironmentMakesItThrow) {
  EXPECT_EXIT(
      {
        setenv("REFRAG_FAIL_POINT", "test.throw", 1);
        try {
          fail_point("test.throw");
        } catch (const Error& error) {
          std::exit(error.code() == ErrorCode::kInternal ? 7 : 1);
        }
      },
      ::testing::ExitedWithCode(7), "");
}

TEST_F(FailPointDeathTest, AnUnknownActionIsRefused) {
  EXPECT_EXIT(
      {
        setenv("REFRAG_FAIL_POINT", "test.throw:explode", 1);
        try {
          fail_point("test.throw");
        } catch (const Error& error) {
          std::exit(error.param() == "REFRAG_FAIL_POINT" ? 7 : 1);
        }
      },
      ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace refrag

#include "text/child_process.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace refrag {
namespace {

ChildResult shell(const std::string& script, std::string_view input = {}, const ChildLimits& limits = {}) {
  return run_child("/bin/sh", {"-c", script}, input, limits);
}

TEST(ChildProcessTest, GivesInputAndTakesBothOutputs) {
  const ChildResult result = shell("cat; echo oops >&2; exit 3", "hello");

  EXPECT_EQ(result.output, "hello");
  EXPECT_EQ(result.errors, "oops\n");
  EXPECT_EQ(result.exit_code, 3);
}

TEST(ChildProcessTest, PassesMegabytesBothWays) {
  const std::string big(5u << 20, 'x');

  EXPECT_EQ(shell("cat", big).output.size(), big.size());
}

TEST(ChildProcessTest, HidesOurEnvironment) {
  ::setenv("REFRAG_TEST_SECRET", "key", 1);

  EXPECT_EQ(shell("echo $REFRAG_TEST_SECRET$LC_ALL").output, "C.UTF-8\n");
}

TEST(ChildProcessTest, CutsEndlessOutput) {
  const ChildResult result = shell("while :; do echo 0123456789; done", {}, {.output_bytes = 1000});

  EXPECT_TRUE(result.output_cut);
  EXPECT_EQ(result.output.size(), 1000U);
  EXPECT_NE(result.signal, 0);
}

TEST(ChildProcessTest, KillsWhatSleepsTooLong) { EXPECT_TRUE(shell("sleep 1000", {}, {.wall_seconds = 0}).timed_out); }

TEST(ChildProcessTest, KillsWhatClosesItsStreamsAndSleeps) {
  EXPECT_TRUE(shell("exec >&- 2>&-; sleep 1000", {}, {.wall_seconds = 1}).timed_out);
}

TEST(ChildProcessTest, EndsWhatComputesTooLong) {
  const ChildResult result = shell("while :; do :; done", {}, {.cpu_seconds = 1});

  EXPECT_NE(result.signal, 0);
  EXPECT_FALSE(result.timed_out);
}

TEST(ChildProcessTest, LetsItWriteNoFile) {
  const ChildResult result = shell("echo text > /tmp/refrag-child-test && echo written");

  EXPECT_EQ(result.output, "");
}

TEST(ChildProcessTest, TellsOfAProgramThatCannotRun) {
  EXPECT_EQ(run_child("/nonexistent/program", {}, "", {}).exit_code, 127);
  EXPECT_FALSE(find_program("no-such-program-of-refrag").has_value());
}

}  // namespace
}  // namespace refrag

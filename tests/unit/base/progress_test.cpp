#include "base/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace refrag {
namespace {

using ::testing::HasSubstr;

TEST(ProgressTest, DurationsAreHoursMinutesAndSeconds) {
  EXPECT_EQ(format_duration(0), "0:00:00");
  EXPECT_EQ(format_duration(61.9), "0:01:01");
  EXPECT_EQ(format_duration(36'000 + 59), "10:00:59");
  EXPECT_EQ(format_duration(-5), "0:00:00");
  EXPECT_EQ(format_duration(1e300), "1000000:00:00");
}

TEST(ProgressTest, TheLineShowsShareRateAndTimeLeft) {
  EXPECT_EQ(format_progress("Indexing", "documents", 450, 1000, 5, "2 errors"),
            "Indexing [==========>             ] 45% 450/1000 documents, 90/s, 0:00:06 left, 2 errors");
}

TEST(ProgressTest, WithoutATotalThereIsNoBar) {
  EXPECT_EQ(format_progress("Reading", "lines", 10, 0, 4, ""), "Reading 10 lines, 2.5/s, 0:00:04");
}

TEST(ProgressTest, WhenDoneTheLineShowsHowLongItTook) {
  EXPECT_EQ(format_progress("Indexing", "documents", 10, 10, 62, ""),
            "Indexing [========================] 100% 10/10 documents, 0.2/s, 0:01:02");
}

TEST(ProgressTest, MoreThanTheTotalIsStillAFullBar) {
  EXPECT_THAT(format_progress("x", "y", 30, 10, 1, ""), HasSubstr("[========================] 100% 30/10"));
}

TEST(ProgressTest, OutsideATerminalThereIsALineAtFirstAndALineAtTheEnd) {
  ::testing::internal::CaptureStderr();
  {
    ProgressBar bar("Indexing", "documents", 3);
    for (std::size_t done = 1; done <= 3; ++done) {
      bar.update(done);
    }
  }
  const std::string lines = ::testing::internal::GetCapturedStderr();

  EXPECT_THAT(lines, HasSubstr("33% 1/3 documents"));
  EXPECT_THAT(lines, HasSubstr("100% 3/3 documents"));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
  EXPECT_EQ(lines.find('\r'), std::string::npos);
}

TEST(ProgressTest, QuietMeansNothing) {
  ::testing::internal::CaptureStderr();
  {
    ProgressBar bar("Indexing", "documents", 3, true);
    bar.update(1);
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

}  // namespace
}  // namespace refrag

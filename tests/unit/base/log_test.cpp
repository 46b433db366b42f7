#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/json_reader.h"

namespace refrag {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

class LogTest : public ::testing::Test {
 protected:
  ~LogTest() override { configure_log({.level = LogLevel::kOff}); }

  template <typename Action>
  static std::string lines_of(const Action& action) {
    ::testing::internal::CaptureStderr();
    action();
    return ::testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogTest, IsSilentUntilConfigured) {
  EXPECT_EQ(lines_of([] { log_error("nobody asked"); }), "");
}

TEST_F(LogTest, WritesLinesFromTheLevelUp) {
  configure_log({.level = LogLevel::kWarning});
  const std::string lines = lines_of([] {
    log_debug("a");
    log_info("b");
    log_warning("disk is nearly full {}");
    log_error("disk is full");
  });

  EXPECT_THAT(lines, HasSubstr("Z warning disk is nearly full {}\n"));
  EXPECT_THAT(lines, EndsWith("Z error disk is full\n"));
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
}

TEST_F(LogTest, JsonLinesParseWhateverTheText) {
  configure_log({.level = LogLevel::kInfo, .json = true});
  const std::string line = lines_of([] { log_info("say \"hi\"\n\xff %v {}"); });

  const Json json = parse_json(line, "the log line");
  EXPECT_EQ(json["level"], "info");
  EXPECT_EQ(json["message"], "say \"hi\"\n\uFFFD %v {}");
  EXPECT_THAT(json["time"].get<std::string>(), EndsWith("Z"));
}

TEST_F(LogTest, ARecordIsFieldsInJsonAndItsTextElsewhere) {
  const auto log = [] { log_record("GET /a 200", {{"path", "/a\"\n"}, {"status", 200}}); };
  configure_log({.level = LogLevel::kInfo, .json = true});
  const Json json = parse_json(lines_of(log), "the log line");
  configure_log({.level = LogLevel::kInfo});

  EXPECT_EQ(json["level"], "info");
  EXPECT_EQ(json["path"], "/a\"\n");
  EXPECT_EQ(json["status"], 200);
  EXPECT_FALSE(json.contains("message"));
  EXPECT_THAT(lines_of(log), EndsWith(" info GET /a 200\n"));
}

TEST_F(LogTest, ALineBreakInTheTextForgesNoSecondLine) {
  configure_log({});
  EXPECT_THAT(lines_of([] { log_info("file\nerror all is lost"); }), Not(HasSubstr("\nerror")));
}

TEST_F(LogTest, LevelsAreParsedByName) {
  EXPECT_EQ(parse_log_level("debug"), LogLevel::kDebug);
  EXPECT_EQ(parse_log_level("off"), LogLevel::kOff);
  try {
    parse_log_level("loud");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.param(), "log_level");
    EXPECT_STREQ(error.what(), "log_level is \"loud\"; expected debug, info, warning, error or off");
  }
}

}  // namespace
}  // namespace refrag

#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "base/files.h"
#include "base/json_reader.h"
#include "refrag/error.h"

namespace refrag::server {
namespace {

using ::testing::HasSubstr;

class ServerConfigTest : public ::testing::Test {
 protected:
  std::optional<ServerConfig> read(const std::vector<std::string>& arguments) {
    out_.str("");
    return read_config(
        arguments,
        [this](const std::string& name) {
          const auto found = environment_.find(name);
          return found == environment_.end() ? std::nullopt : std::optional(found->second);
        },
        out_);
  }
  std::string error_of(const std::vector<std::string>& arguments) {
    try {
      read(arguments);
    } catch (const Error& error) {
      return error.what();
    }
    return "(nothing was refused)";
  }
  std::string file(const std::string& text) {
    write_file_atomic(directory_.path() / "config.json", text);
    return (directory_.path() / "config.json").string();
  }

  std::map<std::string, std::string> environment_;
  std::ostringstream out_;
  TemporaryDirectory directory_;
};

TEST_F(ServerConfigTest, FlagsWinOverTheEnvironmentAndItOverTheFile) {
  const std::string path = file(R"({"model": "file", "port": 1, "max_queue": 1, "request_seconds": 1.5})");
  environment_ = {{"REFRAG_PORT", "2"}, {"REFRAG_MAX_QUEUE", "2"}};
  const auto config = read({"--config", path, "--max-queue", "3"});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->model, "file");
  EXPECT_EQ(config->request_seconds, 1.5);
  EXPECT_EQ(config->port, 2u);
  EXPECT_EQ(config->max_queue, 3u);
  EXPECT_EQ(config->host, "127.0.0.1");
}

TEST_F(ServerConfigTest, TheFileItselfMayComeFromTheEnvironment) {
  environment_ = {{"REFRAG_CONFIG", file(R"({"model": "m"})")}};
  EXPECT_EQ(read({})->model, "m");
}

TEST_F(ServerConfigTest, HelpTellsEveryOptionWithItsDefaultAndVariable) {
  EXPECT_FALSE(read({"--help"}));
  for (const char* text : {"--max-queue", "REFRAG_MAX_QUEUE", "default 64", "--drain-seconds", "--tls-cert",
                           "--api-key-file", "default 127.0.0.1", "--print-config"}) {
    EXPECT_THAT(out_.str(), HasSubstr(text));
  }
}

TEST_F(ServerConfigTest, PrintedConfigurationIsAConfigFileWithoutKeys) {
  EXPECT_FALSE(read({"--print-config", "--port", "9", "--api-keys", "hush"}));
  EXPECT_THAT(out_.str(), ::testing::Not(HasSubstr("hush")));
  EXPECT_EQ(Json::parse(out_.str())["port"], 9);
  EXPECT_EQ(read({"--config", file(out_.str()), "--model", "m"})->port, 9u);
}

TEST_F(ServerConfigTest, WhatIsWrongIsNamedAsItWasWritten) {
  EXPECT_THAT(error_of({}), HasSubstr("--model"));
  EXPECT_THAT(error_of({"--colour", "red"}), HasSubstr("--colour"));
  EXPECT_THAT(error_of({"--port", "70000"}), HasSubstr("--port"));
  EXPECT_THAT(error_of({"--port", "80x"}), HasSubstr("--port"));
  EXPECT_THAT(error_of({"--request-seconds", "nan"}), HasSubstr("--request-seconds"));
  EXPECT_THAT(error_of({"--dtype", "fp8"}), HasSubstr("auto fp32 bf16 int8"));
  environment_ = {{"REFRAG_MAX_RUNNING", "0"}};
  EXPECT_THAT(error_of({"--model", "m"}), HasSubstr("REFRAG_MAX_RUNNING"));
}

TEST_F(ServerConfigTest, KeysThatAreSetButEmptyDoNotOpenTheServer) {
  EXPECT_THAT(error_of({"--model", "m", "--api-keys", ""}), HasSubstr("--api-keys is empty"));
  EXPECT_THAT(error_of({"--config", file(R"({"model": "m", "api_keys": ""})")}), HasSubstr("api_keys is empty"));
  environment_ = {{"REFRAG_API_KEY_FILE", ""}};
  EXPECT_THAT(error_of({"--model", "m"}), HasSubstr("REFRAG_API_KEY_FILE is empty"));
  environment_ = {{"REFRAG_API_KEYS", ""}};
  EXPECT_THAT(error_of({"--model", "m"}), HasSubstr("REFRAG_API_KEYS is empty"));
  environment_ = {{"REFRAG_KB", ""}};
  EXPECT_TRUE(read({"--model", "m"}));
}

TEST_F(ServerConfigTest, AWrongConfigFileNamesItsKey) {
  EXPECT_THAT(error_of({"--config", file(R"({"colour": 1})")}), HasSubstr("colour"));
  EXPECT_THAT(error_of({"--config", file(R"({"port": "80"})")}), HasSubstr("port"));
  EXPECT_THAT(error_of({"--config", file(R"({"host": 3})")}), HasSubstr("host"));
  EXPECT_THAT(error_of({"--config", file(R"({"max_queue": -1})")}), HasSubstr("max_queue"));
  EXPECT_THAT(error_of({"--config", file("{")}), HasSubstr("config.json"));
  EXPECT_THAT(error_of({"--config", "/nonexistent.json"}), HasSubstr("/nonexistent.json"));
}

}  // namespace
}  // namespace refrag::server

#include "server/auth.h"

#include <gtest/gtest.h>

#include "base/files.h"
#include "refrag/error.h"

namespace refrag::server {
namespace {

int status_for(const ApiKeys& keys, const std::string& authorization) {
  HttpRequest request;
  request.header = [&](const std::string& name) { return name == "Authorization" ? authorization : std::string(); };
  try {
    keys.check(request);
    return 200;
  } catch (const HttpError& error) {
    EXPECT_EQ(error.headers().at(0).first, "WWW-Authenticate");
    return error.status();
  }
}

TEST(ApiKeysTest, AnyOfTheKeysOpensAndNothingElseDoes) {
  const ApiKeys keys({"alpha", "beta"});
  EXPECT_EQ(status_for(keys, "Bearer alpha"), 200);
  EXPECT_EQ(status_for(keys, "Bearer beta"), 200);
  EXPECT_EQ(status_for(keys, "bearer alpha"), 200);  // a scheme's case means nothing (RFC 9110, 11.1)
  for (const char* wrong : {"", "alpha", "Bearer", "Bearer ", "Bearer alph", "Bearer alphaa", "Bearer alpha,beta",
                            "Bearer ALPHA", "Basic alpha", "Bearer  alpha"}) {
    EXPECT_EQ(status_for(keys, wrong), 401) << wrong;
  }
}

TEST(ApiKeysTest, WithoutKeysEveryRequestPasses) { EXPECT_EQ(status_for(ApiKeys(), ""), 200); }

TEST(ApiKeysTest, KeysThatAHeaderCannotCarryAreRefused) {
  for (const char* key : {"", "a b", "a%20b", "kéy", "a\n"}) EXPECT_THROW(ApiKeys({key}), Error) << key;
}

TEST(ApiKeysTest, AKeyFileHasOneKeyALine) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "keys";
  write_file_atomic(path, "# ours\nalpha\r\n\nbeta  \n");
  EXPECT_EQ(ApiKeys::read_file(path), (std::vector<std::string>{"alpha", "beta"}));
  write_file_atomic(path, "# none\n");
  EXPECT_THROW(ApiKeys::read_file(path), Error);
  EXPECT_THROW(ApiKeys::read_file(directory.path() / "missing"), Error);
}

}  // namespace
}  // namespace refrag::server

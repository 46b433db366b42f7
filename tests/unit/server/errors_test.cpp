#include "server/errors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refrag::server {
namespace {

HttpResponse response_to(ErrorCode code) {
  return error_response(std::make_exception_ptr(Error(code, "why", "field")), "r-1");
}

TEST(ErrorsTest, EveryCodeHasItsStatus) {
  const std::pair<ErrorCode, int> cases[] = {{ErrorCode::kInvalidArgument, 400},
                                             {ErrorCode::kContextLengthExceeded, 400},
                                             {ErrorCode::kNotFound, 404},
                                             {ErrorCode::kUnsupported, 400},
                                             {ErrorCode::kCorrupt, 500},
                                             {ErrorCode::kIdentityMismatch, 409},
                                             {ErrorCode::kBusy, 409},
                                             {ErrorCode::kQueueFull, 429},
                                             {ErrorCode::kTimeout, 408},
                                             {ErrorCode::kCancelled, 499},
                                             {ErrorCode::kUnavailable, 503},
                                             {ErrorCode::kIo, 500},
                                             {ErrorCode::kInternal, 500}};
  for (const auto& [code, status] : cases) {
    const HttpResponse response = response_to(code);
    EXPECT_EQ(response.status, status) << name_of(code);
    const Json error = Json::parse(response.body)["error"];
    EXPECT_EQ(error["code"], name_of(code));
    EXPECT_EQ(error["message"], "why");
    EXPECT_EQ(error["param"], "field");
    EXPECT_TRUE(error["type"].is_string());
  }
}

TEST(ErrorsTest, WhatPassesBySaysWhenToTryAgain) {
  for (const ErrorCode code : {ErrorCode::kBusy, ErrorCode::kQueueFull, ErrorCode::kUnavailable}) {
    const HttpResponse response = response_to(code);
    ASSERT_EQ(response.headers.size(), 1u) << name_of(code);
    EXPECT_EQ(response.headers[0].first, "Retry-After");
  }
  EXPECT_TRUE(response_to(ErrorCode::kIdentityMismatch).headers.empty());
}

TEST(ErrorsTest, BytesThatAreNoUtf8DoNotBreakTheMessage) {
  const std::string json = error_json(Error(ErrorCode::kNotFound, "no \xff here"));
  EXPECT_EQ(Json::parse(json)["error"]["message"], "no \xEF\xBF\xBD here");
}

}  // namespace
}  // namespace refrag::server

#include "cli/exit_code.h"

#include <gtest/gtest.h>

namespace refrag::cli {
namespace {

TEST(ExitCodeTest, WhatAUserCanMendIsToldApartFromWhatHeCannot) {
  EXPECT_EQ(exit_code_of(ErrorCode::kInvalidArgument), kWrongUse);
  EXPECT_EQ(exit_code_of(ErrorCode::kNotFound), kNotThere);
  EXPECT_EQ(exit_code_of(ErrorCode::kIdentityMismatch), kWrongData);
  EXPECT_EQ(exit_code_of(ErrorCode::kBusy), kTryAgain);
  EXPECT_EQ(exit_code_of(ErrorCode::kIo), kFailure);
  EXPECT_EQ(exit_code_of(ErrorCode::kCancelled), kInterrupted);
}

}  // namespace
}  // namespace refrag::cli

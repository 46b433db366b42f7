#include "cli/print_json.h"

#include <gtest/gtest.h>

namespace refrag::cli {
namespace {

TEST(PrintJsonTest, WhatIsNotUtf8IsReplaced) {
  EXPECT_EQ(json_text(Json{{"path", "/tmp/bad\xff"}}), "{\"path\":\"/tmp/bad\xEF\xBF\xBD\"}");
}

}  // namespace
}  // namespace refrag::cli

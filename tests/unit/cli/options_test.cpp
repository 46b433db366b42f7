#include "cli/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "refrag/error.h"

namespace refrag::cli {
namespace {

TEST(OptionsTest, AFilterTakesNumbersAndTruthAsSuchAndAllElseAsText) {
  const Metadata filter =
      parse_filter({"section=utils", "year=2024", "share=0.5", "free=true", "code=\"7\"", "note=a=b", "empty="});
  EXPECT_EQ(std::get<std::string>(filter.at("section")), "utils");
  EXPECT_EQ(std::get<std::int64_t>(filter.at("year")), 2024);
  EXPECT_EQ(std::get<double>(filter.at("share")), 0.5);
  EXPECT_EQ(std::get<bool>(filter.at("free")), true);
  EXPECT_EQ(std::get<std::string>(filter.at("code")), "7");
  EXPECT_EQ(std::get<std::string>(filter.at("note")), "a=b");
  EXPECT_EQ(std::get<std::string>(filter.at("empty")), "");
}

TEST(OptionsTest, AFilterWithoutAKeyIsRefused) {
  EXPECT_THROW(parse_filter({"section"}), Error);
  EXPECT_THROW(parse_filter({"=x"}), Error);
}

TEST(OptionsTest, EveryWordOfDtypeIsOne) {
  EXPECT_THAT(dtype_words(), ::testing::ElementsAre("auto", "fp32", "bf16", "int8"));
  EXPECT_EQ(parse_dtype("int8"), Dtype::kInt8);
  try {
    parse_dtype("int4");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "--dtype is 'int4'; expected one of auto, fp32, bf16, int8");
  }
}

TEST(OptionsTest, WordsAreThoseOfTheJson) {
  EXPECT_EQ(parse_mode("full"), Mode::kFull);
  EXPECT_EQ(parse_expand_by("similarity"), ExpandBy::kSimilarity);
  try {
    parse_mode("fast");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("refrag, full, none"));
    EXPECT_EQ(error.param(), "--mode");
  }
}

}  // namespace
}  // namespace refrag::cli

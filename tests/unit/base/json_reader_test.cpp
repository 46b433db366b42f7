#include "base/json_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>

#include "base/files.h"
#include "base/utf8.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Error error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "expected an error";
  return {ErrorCode::kInternal, ""};
}

std::string parse_error(std::string_view text) {
  return error_of([&] { parse_json(text, "the body"); }).what();
}

TEST(ParseJsonTest, ReadsEveryKindOfValue) {
  const Json value =
      parse_json(R"({"a": [1, -2, 2.5, true, null, "\u00e9"], "b": {}, "big": 18446744073709551615})", "x");

  EXPECT_EQ(value, (Json{{"a", {1, -2, 2.5, true, nullptr, "é"}}, {"b", Json::object()}, {"big", UINT64_MAX}}));
  EXPECT_EQ(parse_json(" 7 ", "x"), Json(7));
}

TEST(ParseJsonTest, NamesThePlaceAndWhatWasExpected) {
  EXPECT_EQ(error_of([] { parse_json("{}}", "the body"); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(parse_error("{\n  \"a\": x}"), HasSubstr("the body is not valid JSON: line 2, column 8: "));
  EXPECT_THAT(parse_error("{\"a\" 1}"), HasSubstr("expected ':'"));
  EXPECT_THAT(parse_error(""), HasSubstr("line 1"));
}

TEST(ParseJsonTest, RefusesAFieldThatStandsTwice) {
  EXPECT_THAT(parse_error(R"({"a": 1, "b": 2,
 "a": 3})"),
              HasSubstr("line 2, column 4: the field \"a\" stands twice in one object"));
  EXPECT_NO_THROW(parse_json(R"({"a": {"a": 1}})", "nested is fine"));
}

TEST(ParseJsonTest, RefusesNestingDeeperThan64) {
  EXPECT_NO_THROW(parse_json(std::string(64, '[') + std::string(64, ']'), "x"));
  EXPECT_THAT(parse_error(std::string(65, '[') + std::string(65, ']')), HasSubstr("deeper than 64"));
  EXPECT_THAT(parse_error(std::string(1'000'000, '[')), HasSubstr("deeper than 64"));
}

TEST(ParseJsonTest, RefusesNotANumberAndNumbersTooLarge) {
  EXPECT_THROW(parse_json("NaN", "x"), Error);
  EXPECT_THROW(parse_json("[Infinity]", "x"), Error);
  EXPECT_THROW(parse_json("1e999", "x"), Error);
}

TEST(ParseJsonTest, RefusesTextThatIsNotUtf8WithAMessageThatIs) {
  const std::string text = parse_error("{\"a\": \"\xff\"}");
  EXPECT_THAT(text, HasSubstr("UTF-8"));
  EXPECT_TRUE(is_valid_utf8(text));
}

TEST(ParseJsonTest, MessagesStayShortWhateverTheInput) {
  EXPECT_LT(parse_error("\"" + std::string(100'000, 'x')).size(), 500U);
}

TEST(ParseJsonTest, ADamagedFileIsCorruptAndNamed) {
  const TemporaryDirectory directory;
  write_file_atomic(directory.path() / "config.json", "{");
  const Error error = error_of([&] { parse_json_file(directory.path() / "config.json"); });

  EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  EXPECT_THAT(error.what(), HasSubstr("config.json is not valid JSON"));
}

TEST(JsonReaderTest, ReadsFieldsOfEachKind) {
  const Json json = parse_json(
      R"({"s": "x", "b": true, "i": -3, "d": 1.5, "whole": 2, "list": ["a", "b"], "word": "dense", "o": {"n": 1},
          "array": [{"n": 2}, {"n": 3}]})",
      "x");
  JsonReader reader(json);

  EXPECT_EQ(reader.text("s"), "x");
  EXPECT_TRUE(reader.boolean("b", false));
  EXPECT_EQ(reader.integer("i", -10, 10), -3);
  EXPECT_EQ(reader.number("d", 0, 2), 1.5);
  EXPECT_EQ(reader.number("whole", 0, 2), 2);
  EXPECT_THAT(reader.texts("list"), ElementsAre("a", "b"));
  EXPECT_EQ(reader.one_of("word", {"hybrid", "dense"}, 0), 1U);
  EXPECT_EQ(reader.object("o").integer("n", 0, 9), 1);
  EXPECT_EQ(reader.objects("array").at(1).integer("n", 0, 9), 3);
  EXPECT_NO_THROW(reader.finish());
}

TEST(JsonReaderTest, AbsentAndNullFieldsGiveTheFallback) {
  const Json json = {{"null", nullptr}};
  JsonReader reader(json);

  for (const char* name : {"null", "absent"}) {
    EXPECT_FALSE(reader.has(name));
    EXPECT_EQ(reader.text(name, "y"), "y");
    EXPECT_TRUE(reader.boolean(name, true));
    EXPECT_EQ(reader.integer(name, 4, 0, 9), 4);
    EXPECT_EQ(reader.number(name, 0.5, 0, 1), 0.5);
    EXPECT_TRUE(reader.texts(name).empty());
    EXPECT_EQ(reader.one_of(name, {"a", "b"}, 1), 1U);
    EXPECT_NO_THROW(reader.object(name).finish());
    EXPECT_TRUE(reader.objects(name).empty());
    EXPECT_TRUE(reader.value(name).is_null());
    EXPECT_THROW(reader.text(name), Error);
  }
  EXPECT_NO_THROW(reader.finish());
}

TEST(JsonReaderTest, ComplaintsNameTheFieldWhatWasFoundAndWhatWasExpected) {
  const Json json = parse_json(
      R"({"retrieve": {"top_k": "many", "mode": "magic", "min_score": -1, "on": 1, "stop": ["a", 2], "list": [1]}})",
      "x");
  JsonReader reader = JsonReader(json).object("retrieve");

  const Error error = error_of([&] { reader.integer("top_k", 0, 256); });
  EXPECT_STREQ(error.what(), "retrieve.top_k is \"many\"; expected an integer, 0 to 256");
  EXPECT_EQ(error.param(), "retrieve.top_k");
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_STREQ(error_of([&] {
                 reader.one_of("mode", {"hybrid", "dense"}, 0);
               }).what(),
               "retrieve.mode is \"magic\"; expected one of hybrid, dense");
  EXPECT_STREQ(error_of([&] { reader.number("min_score", 0, 1); }).what(),
               "retrieve.min_score is -1; expected a number, 0 to 1");
  EXPECT_STREQ(error_of([&] { reader.boolean("on", false); }).what(), "retrieve.on is 1; expected true or false");
  EXPECT_STREQ(error_of([&] { reader.texts("stop"); }).what(), "retrieve.stop[1] is 2; expected a string");
  EXPECT_STREQ(error_of([&] { reader.objects("list"); }).what(), "retrieve.list[0] is 1; expected an object");
  EXPECT_STREQ(error_of([&] { reader.text("query"); }).what(), "retrieve.query is missing; expected a string");
}

TEST(JsonReaderTest, WhatIsNoObjectIsRefused) {
  const Json array = Json::array({1, 2});
  EXPECT_STREQ(error_of([&] { JsonReader reader(array); }).what(),
               "the JSON value is an array of 2; expected an object");
  EXPECT_STREQ(error_of([&] { JsonReader reader(array, "config.json: ", ErrorCode::kCorrupt); }).what(),
               "config.json: the content is an array of 2; expected an object");
}

TEST(JsonReaderTest, IntegersOutsideTheirTypeAndFractionsAreRefused) {
  const Json json =
      parse_json(R"({"big": 9223372036854775808, "max": 9223372036854775807, "half": 0.5, "float": 2.0})", "x");
  JsonReader reader(json);

  EXPECT_EQ(reader.integer("max", INT64_MIN, INT64_MAX), INT64_MAX);
  EXPECT_STREQ(error_of([&] { reader.integer("big", INT64_MIN, INT64_MAX); }).what(),
               "big is 9223372036854775808; expected an integer");
  EXPECT_THROW(reader.integer("half", 0, 9), Error);
  EXPECT_THROW(reader.integer("float", 0, 9), Error);
}

TEST(JsonReaderTest, NotANumberIsNeverANumber) {
  const Json json = {{"nan", std::numeric_limits<double>::quiet_NaN()}};
  JsonReader reader(json);
  EXPECT_THROW(reader.number("nan", -1e308, 1e308), Error);
}

TEST(JsonReaderTest, OpenRangesAreToldAsSuch) {
  const Json json = {{"n", -1}};
  JsonReader reader(json);
  EXPECT_STREQ(error_of([&] { reader.integer("n", 0, INT64_MAX); }).what(), "n is -1; expected an integer, 0 or more");
  EXPECT_STREQ(error_of([&] { reader.number("n", 0, std::numeric_limits<double>::infinity()); }).what(),
               "n is -1; expected a number, 0 or more");
}

TEST(JsonReaderTest, UnknownFieldsAreRefusedWithThoseThatAreKnown) {
  const Json json = {{"expand", {{"fractoin", 0.5}}}};
  JsonReader reader = JsonReader(json).object("expand");
  reader.number("fraction", 0.1, 0, 1);
  reader.ignore("by");

  const Error error = error_of([&] { reader.finish(); });
  EXPECT_STREQ(error.what(), "unknown field expand.fractoin; expected by, fraction");
  EXPECT_EQ(error.param(), "expand.fractoin");
}

TEST(JsonReaderTest, FilesAreNamedAndCorrupt) {
  const Json json = {{"hidden_size", "wide"}};
  JsonReader reader(json, "model/config.json: ", ErrorCode::kCorrupt);

  const Error error = error_of([&] { reader.integer("hidden_size", 1, 9); });
  EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  EXPECT_STREQ(error.what(), "model/config.json: hidden_size is \"wide\"; expected an integer, 1 to 9");
}

TEST(JsonReaderTest, LongValuesAreShortened) {
  const Json json = {{"n", std::string(10'000, 'x')}, {"many", std::vector<int>(10'000)}};
  JsonReader reader(json);
  EXPECT_LT(std::string(error_of([&] { reader.integer("n", 0, 1); }).what()).size(), 200U);
  EXPECT_LT(std::string(error_of([&] { reader.integer("many", 0, 1); }).what()).size(), 200U);
}

}  // namespace
}  // namespace refrag

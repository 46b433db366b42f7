#include <gtest/gtest.h>

#include "refrag/error.h"
#include "text/reader.h"

namespace refrag {
namespace {

std::string problem_with(std::string_view line) {
  try {
    read_json_document(line);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

bool names(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

TEST(ReadJsonDocumentTest, TakesEveryField) {
  const Document document = read_json_document(
      R"({"id": "a", "title": "T", "text": "x\ny", "metadata": {"s": "v", "i": -3, "d": 1.5, "b": true}})");

  EXPECT_EQ(document.id, "a");
  EXPECT_EQ(document.title, "T");
  EXPECT_EQ(document.text, "x\ny");
  const Metadata expected{{"s", std::string("v")}, {"i", std::int64_t{-3}}, {"d", 1.5}, {"b", true}};
  EXPECT_EQ(document.metadata, expected);
}

TEST(ReadJsonDocumentTest, NeedsIdAndTextAlone) {
  EXPECT_EQ(read_json_document(R"({"id": "a", "text": "x"})").title, "");
  EXPECT_TRUE(names(problem_with(R"({"id": "a"})"), "text"));
  EXPECT_TRUE(names(problem_with(R"({"text": "x"})"), "id"));
}

TEST(ReadJsonDocumentTest, NamesTheFieldThatIsWrong) {
  EXPECT_TRUE(names(problem_with(R"({"id": 7, "text": "x"})"), "id"));
  EXPECT_TRUE(names(problem_with(R"({"id": "a", "text": "x", "body": "y"})"), "body"));
  EXPECT_TRUE(
      names(problem_with(R"({"id": "a", "text": "x", "metadata": {"tags": ["y"]}})"), "metadata.tags is array"));
  EXPECT_TRUE(names(problem_with(R"({"id": "a", "text": "x", "metadata": {"n": null}})"), "metadata.n"));
  EXPECT_TRUE(names(problem_with(R"({"id": "a", "text": "x", "metadata": 3})"), "metadata"));
  EXPECT_FALSE(problem_with(R"([1])").empty());
  EXPECT_FALSE(problem_with(R"({"id": )").empty());
}

TEST(ReadJsonDocumentTest, TakesIntegersBeyond64BitsAsNumbers) {
  const Document document = read_json_document(R"({"id": "a", "text": "x", "metadata": {"n": 18446744073709551615}})");

  EXPECT_EQ(std::get<double>(document.metadata.at("n")), 18446744073709551615.0);
}

TEST(ReadJsonDocumentTest, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(read_json_document("{\"id\": \"a\", \"text\": \"x\xff\"}").text, "x\ufffd");
}

TEST(TryReadJsonDocumentTest, KeepsTheIdOfADocumentThatIsWrong) {
  const ReadResult result = try_read_json_document(R"({"id": "a", "text": 5})", "notes.jsonl:3");

  EXPECT_EQ(result.document.id, "a");
  EXPECT_EQ(result.where, "notes.jsonl:3");
  EXPECT_TRUE(names(result.error, "text"));
}

}  // namespace
}  // namespace refrag

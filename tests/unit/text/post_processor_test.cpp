#include "text/post_processor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace refrag {
namespace {

using ::testing::ElementsAre;

PostProcessor processor(const std::string& json) {
  Vocabulary vocabulary;
  for (TokenId id = 0; id < 10; ++id) {
    vocabulary.add("token" + std::to_string(id), id, "test");
  }
  const Json parsed = parse_json(json, "test");
  return {JsonReader(parsed, "post_processor", ErrorCode::kCorrupt), vocabulary};
}

const std::string kTemplate = R"({"type": "TemplateProcessing",
  "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
  "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[CLS]", "type_id": 1}},
           {"Sequence": {"id": "B", "type_id": 1}}],
  "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1, 2], "tokens": ["a", "b"]}}})";

TEST(PostProcessorTest, WithoutOneTextsStandAlone) {
  EXPECT_THAT(PostProcessor().wrap({7}).ids, ElementsAre(7));
  EXPECT_THAT(PostProcessor().wrap({7}, {8}).type_ids, ElementsAre(0, 1));
  EXPECT_EQ(PostProcessor().leading_token(), std::nullopt);
}

TEST(PostProcessorTest, TemplatesWrapOneTextAndPairs) {
  const PostProcessor made = processor(kTemplate);
  EXPECT_THAT(made.wrap({7}).ids, ElementsAre(1, 2, 7));
  EXPECT_THAT(made.wrap({7}, {8, 9}).ids, ElementsAre(7, 1, 2, 8, 9));
  EXPECT_THAT(made.wrap({7}, {8, 9}).type_ids, ElementsAre(0, 1, 1, 1, 1));
  EXPECT_EQ(made.leading_token(), 1);
}

TEST(PostProcessorTest, RobertaDoublesTheSeparatorAndBertTellsTheTextsApart) {
  const PostProcessor roberta = processor(R"({"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]})");
  EXPECT_THAT(roberta.wrap({7}).ids, ElementsAre(0, 7, 2));
  EXPECT_THAT(roberta.wrap({7}, {8}).ids, ElementsAre(0, 7, 2, 2, 8, 2));
  EXPECT_THAT(roberta.wrap({7}, {8}).type_ids, ElementsAre(0, 0, 0, 0, 0, 0));
  const PostProcessor bert = processor(R"({"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]})");
  EXPECT_THAT(bert.wrap({7}, {8}).ids, ElementsAre(1, 7, 2, 8, 2));
  EXPECT_THAT(bert.wrap({7}, {8}).type_ids, ElementsAre(0, 0, 0, 1, 1));
}

TEST(PostProcessorTest, ASequenceHoldsATemplateBesideByteLevel) {
  const std::string json = R"({"type": "Sequence", "processors": [{"type": "ByteLevel"}, )" + kTemplate + "]}";
  EXPECT_THAT(processor(json).wrap({7}).ids, ElementsAre(1, 2, 7));
}

TEST(PostProcessorTest, UnknownTypesAndUnknownIdsAreRefused) {
  EXPECT_THROW(processor(R"({"type": "Other"})"), Error);
  EXPECT_THROW(processor(R"({"type": "BertProcessing", "sep": ["[SEP]", 99], "cls": ["[CLS]", 1]})"), Error);
  EXPECT_THROW(processor(R"({"type": "BertProcessing", "sep": 5, "cls": ["[CLS]", 1]})"), Error);
}

}  // namespace
}  // namespace refrag

#include "model/bundle_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refrag {
namespace {

using ::testing::HasSubstr;

Json good_spec() {
  return Json::parse(R"({
    "format_version": 1, "name": "tiny", "chunk_size": 8,
    "encoder": {"tokenizer": "shared", "start": "<s>", "end": "", "pooling": "cls", "normalize": false},
    "prompt": {"template": "{context}Question: {question}\nAnswer:", "passage": "{text}", "separator": "",
               "query": "Question: {question}", "bos": true},
    "passage_tokens": 96,
    "retrieval": {"default": "lexical", "max_tokens": 128, "query_prefix": "q: ", "passage_prefix": "p: "},
    "policy": {"input": "encoder", "question_aware": false, "heads": 3, "layer_norm_eps": 1e-6},
    "evaluation": {"anything": [1, 2]}, "training": {"stages": []}})");
}

std::string refusal(const Json& json, ErrorCode code = ErrorCode::kCorrupt) {
  try {
    parse_bundle_spec(json, "refrag.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    return error.what();
  }
  return "";
}

std::string refusal_with(const char* pointer, const Json& value, ErrorCode code = ErrorCode::kCorrupt) {
  Json json = good_spec();
  json[Json::json_pointer(pointer)] = value;
  return refusal(json, code);
}

std::string refusal_without(const char* name) {
  Json json = good_spec();
  json.erase(name);
  return refusal(json);
}

TEST(BundleSpec, ReadsEveryField) {
  const BundleSpec spec = parse_bundle_spec(good_spec(), "refrag.json");

  EXPECT_EQ(spec.name, "tiny");
  EXPECT_EQ(spec.chunk_size, 8U);
  EXPECT_TRUE(spec.encoder->shared_tokenizer);
  EXPECT_EQ(spec.encoder->start, "<s>");
  EXPECT_EQ(spec.encoder->pooling, Pooling::kCls);
  EXPECT_EQ(spec.prompt.text, "{context}Question: {question}\nAnswer:");
  EXPECT_EQ(spec.prompt.query, "Question: {question}");
  EXPECT_EQ(spec.passage_tokens, 96U);
  EXPECT_EQ(spec.retrieval.preferred, RetrieveMode::kLexical);
  EXPECT_EQ(spec.retrieval.max_tokens, 128U);
  EXPECT_EQ(spec.retrieval.passage_prefix, "p: ");
  EXPECT_FALSE(spec.policy->reads_projected);
  EXPECT_FALSE(spec.policy->question_aware);
  EXPECT_EQ(spec.policy->heads, 3U);
  EXPECT_EQ(spec.policy->norm_eps, 1e-6);
}

TEST(BundleSpec, NeedsOnlyAVersionAndANameWithoutAnEncoder) {
  const BundleSpec spec = parse_bundle_spec({{"format_version", 1}, {"name", "plain"}}, "refrag.json");

  EXPECT_EQ(spec.chunk_size, 0U);
  EXPECT_FALSE(spec.encoder.has_value());
  EXPECT_FALSE(spec.policy.has_value());
  EXPECT_FALSE(spec.retrieval.preferred.has_value());
}

TEST(BundleSpec, RefusesFieldsThatItDoesNotKnowByTheirPath) {
  EXPECT_THAT(refusal_with("/chunk_sise", 8), HasSubstr("chunk_sise"));
  EXPECT_THAT(refusal_with("/encoder/pool", "cls"), HasSubstr("encoder.pool"));
  EXPECT_THAT(refusal_with("/prompt/templat", "x"), HasSubstr("prompt.templat"));
  EXPECT_THAT(refusal_with("/retrieval/prefix", "x"), HasSubstr("retrieval.prefix"));
  EXPECT_THAT(refusal_with("/policy/layers", 2), HasSubstr("policy.layers"));
}

TEST(BundleSpec, RefusesWrongValuesByName) {
  EXPECT_THAT(refusal_with("/chunk_size", "eight"), HasSubstr("refrag.json: chunk_size is \"eight\""));
  EXPECT_THAT(refusal_with("/chunk_size", -8), HasSubstr("chunk_size is -8"));
  EXPECT_THAT(refusal_with("/encoder/pooling", "max"), HasSubstr("encoder.pooling is \"max\""));
  EXPECT_THAT(refusal_with("/encoder/tokenizer", "both"), HasSubstr("encoder.tokenizer"));
  EXPECT_THAT(refusal_with("/retrieval/default", "magic"), HasSubstr("retrieval.default"));
  EXPECT_THAT(refusal_with("/policy/heads", 0), HasSubstr("policy.heads is 0"));
  EXPECT_THAT(refusal_with("/policy/layer_norm_eps", -1), HasSubstr("policy.layer_norm_eps"));
  EXPECT_THAT(refusal_with("/passage_tokens", 0), HasSubstr("passage_tokens is 0"));
  EXPECT_THAT(refusal(Json::array()), HasSubstr("refrag.json"));
}

TEST(BundleSpec, NamesWhatIsMissing) {
  EXPECT_THAT(refusal_without("format_version"), HasSubstr("format_version"));
  EXPECT_THAT(refusal_without("name"), HasSubstr("name"));
  EXPECT_THAT(refusal_without("chunk_size"), HasSubstr("chunk_size"));
  EXPECT_THAT(refusal_without("encoder"), HasSubstr("chunk_size is 8"));
}

TEST(BundleSpec, RefusesANewerFormat) {
  EXPECT_THAT(refusal_with("/format_version", 2, ErrorCode::kUnsupported), HasSubstr("format_version is 2"));
}

TEST(BundleSpec, ChecksThePlaceHoldersOfTemplates) {
  EXPECT_THAT(refusal_with("/prompt/template", "{context}"), HasSubstr("{question} exactly once"));
  EXPECT_THAT(refusal_with("/prompt/template", "{question}{question}"), HasSubstr("{question} exactly once"));
  EXPECT_THAT(refusal_with("/prompt/template", "{context}{context}{question}"), HasSubstr("{context} at most once"));
  EXPECT_THAT(refusal_with("/prompt/template", "{question}{answer}"), HasSubstr("answer"));
  EXPECT_THAT(refusal_with("/prompt/passage", "{title}"), HasSubstr("{text} exactly once"));
  EXPECT_THAT(refusal_with("/prompt/query", "?"), HasSubstr("prompt.query"));
  EXPECT_EQ(refusal_with("/prompt/template", "{question}"), "");
}

TEST(BundleSpec, GivesSpecialTokensToSharedIdsOnly) {
  EXPECT_THAT(refusal_with("/encoder/tokenizer", "own"), HasSubstr("encoder.start"));
}

}  // namespace
}  // namespace refrag

#include "server/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "refrag/error.h"

namespace refrag::server {
namespace {

using ::testing::HasSubstr;

Json json(const char* text) { return Json::parse(text); }

/// The field at fault as the error names it; fails the test where nothing is refused.
template <typename Parse>
std::string invalid_param_of(Parse&& parse) {
  try {
    parse();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(error.param())) << "the message names the field too";
    return error.param();
  }
  return "(nothing was refused)";
}

std::string query_param(const std::string& fields) {
  return invalid_param_of([&] { parse_query(Json::parse(R"({"question": "q", )" + fields + "}"), {}); });
}

TEST(ParseQueryTest, OnlyTheQuestionIsRequiredAndTheRestHasItsDefaults) {
  const QueryRequest request = parse_query(json(R"({"question": "Why?"})"), {});
  EXPECT_EQ(request.query.question, "Why?");
  EXPECT_FALSE(request.stream);
  EXPECT_EQ(request.query.mode, Mode::kRefrag);
  EXPECT_EQ(request.query.retrieve.top_k, 8u);
  EXPECT_FALSE(request.query.retrieve.mode);
  EXPECT_FALSE(request.query.passages);
  EXPECT_FALSE(request.query.expand.fraction);
  EXPECT_EQ(request.query.max_tokens, 128u);
  EXPECT_EQ(request.query.sampling.temperature, 0);
  EXPECT_TRUE(request.query.explain);
}

TEST(ParseQueryTest, EveryFieldOfTheContractIsRead) {
  const QueryRequest request = parse_query(json(R"({
    "question": "What is the version of htop?", "mode": "full",
    "retrieve": {"top_k": 3, "mode": "lexical", "filter": {"section": "utils", "n": 3, "x": 0.5, "b": true}, "min_score": 0.25},
    "passages": [{"id": "p1", "title": "T", "text": "one"}, {"text": "two"}],
    "order": "best_first",
    "expand": {"tokens": 30, "by": "ids", "ids": [{"passage": 1, "chunk": 2}],
               "while_decoding": {"every": 4, "entropy": 1.5, "max_new": 3}},
    "max_tokens": 7, "temperature": 0.5, "top_p": 0.9, "top_k": 5, "min_p": 0.1, "repetition_penalty": 1.2, "seed": 42,
    "stop": ["\n\n"], "logprobs": 2, "truncate": true, "stream": true, "explain": false})"),
                                           {});
  const Query& query = request.query;
  EXPECT_TRUE(request.stream);
  EXPECT_EQ(query.mode, Mode::kFull);
  EXPECT_EQ(query.retrieve.top_k, 3u);
  EXPECT_EQ(query.retrieve.mode, RetrieveMode::kLexical);
  const Metadata filter = {{"section", "utils"}, {"n", std::int64_t{3}}, {"x", 0.5}, {"b", true}};
  EXPECT_EQ(query.retrieve.filter, filter);
  EXPECT_EQ(query.retrieve.min_score, 0.25);
  ASSERT_TRUE(query.passages);
  EXPECT_EQ(query.passages->at(0).title, "T");
  EXPECT_EQ(query.passages->at(1).id, "p2");
  EXPECT_EQ(query.order, PassageOrder::kBestFirst);
  EXPECT_EQ(query.expand.tokens, 30u);
  EXPECT_EQ(query.expand.by, ExpandBy::kIds);
  EXPECT_EQ(query.expand.ids, (std::vector<ChunkRef>{{1, 2}}));
  EXPECT_EQ(query.expand.while_decoding.every, 4u);
  EXPECT_EQ(query.expand.while_decoding.entropy, 1.5);
  EXPECT_EQ(query.expand.while_decoding.max_new, 3u);
  EXPECT_EQ(query.max_tokens, 7u);
  EXPECT_EQ(query.sampling.temperature, 0.5);
  EXPECT_EQ(query.sampling.top_p, 0.9);
  EXPECT_EQ(query.sampling.top_k, 5u);
  EXPECT_EQ(query.sampling.min_p, 0.1);
  EXPECT_EQ(query.sampling.repetition_penalty, 1.2);
  EXPECT_EQ(query.sampling.seed, 42u);
  EXPECT_EQ(query.stop, (std::vector<std::string>{"\n\n"}));
  EXPECT_EQ(query.logprobs, 2u);
  EXPECT_TRUE(query.truncate);
  EXPECT_FALSE(query.explain);
}

TEST(ParseQueryTest, TheExampleOfTheContractPasses) {
  const QueryRequest request = parse_query(json(R"({"question": "What is the version of htop?",
    "mode": "refrag", "retrieve": {"top_k": 8, "mode": "hybrid", "filter": {"section": "utils"}, "min_score": 0.0},
    "passages": [{"id": "p1", "title": "", "text": "x"}],
    "expand": {"fraction": 0.1, "by": "policy", "ids": [], "while_decoding": {"every": 0, "entropy": 0, "max_new": 2}},
    "max_tokens": 128, "temperature": 0, "top_p": 1, "top_k": 0, "min_p": 0, "repetition_penalty": 1, "seed": 0,
    "stop": ["\n\n"], "logprobs": 0, "truncate": false, "stream": false, "explain": true})"),
                                           {});
  EXPECT_EQ(request.query.expand.fraction, 0.1);
}

TEST(ParseQueryTest, EveryWrongFieldIsNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("mode": "fast")", "mode"},
      {R"("mode": 1)", "mode"},
      {R"("retrieve": 3)", "retrieve"},
      {R"("retrieve": {"top_k": -1})", "retrieve.top_k"},
      {R"("retrieve": {"top_k": 257})", "retrieve.top_k"},
      {R"("retrieve": {"top_k": 1.5})", "retrieve.top_k"},
      {R"("retrieve": {"mode": "sparse"})", "retrieve.mode"},
      {R"("retrieve": {"filter": []})", "retrieve.filter"},
      {R"("retrieve": {"filter": {"a": {}}})", "retrieve.filter.a"},
      {R"("retrieve": {"filter": {"a": null}})", "retrieve.filter.a"},
      {R"("retrieve": {"filter": {"a": 18446744073709551615}})", "retrieve.filter.a"},
      {R"("retrieve": {"min_score": "0"})", "retrieve.min_score"},
      {R"("retrieve": {"topk": 3})", "retrieve.topk"},
      {R"("passages": {})", "passages"},
      {R"("passages": ["text"])", "passages[0]"},
      {R"("passages": [{"id": "p"}])", "passages[0].text"},
      {R"("passages": [{"text": "a"}, {"text": 3}])", "passages[1].text"},
      {R"("passages": [{"text": "a", "id": 7}])", "passages[0].id"},
      {R"("passages": [{"text": "a", "title": []}])", "passages[0].title"},
      {R"("passages": [{"text": "a", "body": "b"}])", "passages[0].body"},
      {R"("order": "random")", "order"},
      {R"("expand": [])", "expand"},
      {R"("expand": {"fraction": 1.01})", "expand.fraction"},
      {R"("expand": {"fraction": -0.1})", "expand.fraction"},
      {R"("expand": {"tokens": -1})", "expand.tokens"},
      {R"("expand": {"ttft_ms": "9"})", "expand.ttft_ms"},
      {R"("expand": {"fraction": 0.1, "tokens": 3})", "expand"},
      {R"("expand": {"ttft_ms": 5, "tokens": 3})", "expand"},
      {R"("expand": {"by": "luck"})", "expand.by"},
      {R"("expand": {"by": "policy", "ids": [{"passage": 0, "chunk": 0}]})", "expand.ids"},
      {R"("expand": {"by": "ids", "ids": [{"passage": 0}]})", "expand.ids[0].chunk"},
      {R"("expand": {"by": "ids", "ids": [{"passage": -1, "chunk": 0}]})", "expand.ids[0].passage"},
      {R"("expand": {"by": "ids", "ids": [{"passage": 0, "chunk": 0, "x": 0}]})", "expand.ids[0].x"},
      {R"("expand": {"by": "ids", "ids": [7]})", "expand.ids[0]"},
      {R"("expand": {"while_decoding": true})", "expand.while_decoding"},
      {R"("expand": {"while_decoding": {"every": -1}})", "expand.while_decoding.every"},
      {R"("expand": {"while_decoding": {"entropy": -1}})", "expand.while_decoding.entropy"},
      {R"("expand": {"while_decoding": {"max_new": "2"}})", "expand.while_decoding.max_new"},
      {R"("expand": {"while_decoding": {"often": 1}})", "expand.while_decoding.often"},
      {R"("expand": {"share": 0.1})", "expand.share"},
      {R"("max_tokens": 0)", "max_tokens"},
      {R"("max_tokens": 4097)", "max_tokens"},
      {R"("max_tokens": "9")", "max_tokens"},
      {R"("temperature": -0.1)", "temperature"},
      {R"("temperature": 2.1)", "temperature"},
      {R"("top_p": 2)", "top_p"},
      {R"("top_k": -1)", "top_k"},
      {R"("min_p": 1.1)", "min_p"},
      {R"("repetition_penalty": 0)", "repetition_penalty"},
      {R"("seed": -1)", "seed"},
      {R"("seed": 0.5)", "seed"},
      {R"("stop": 3)", "stop"},
      {R"("stop": [""])", "stop[0]"},
      {R"("stop": ["a", 1])", "stop[1]"},
      {R"("stop": ["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])", "stop"},
      {R"("logprobs": 21)", "logprobs"},
      {R"("logprobs": true)", "logprobs"},
      {R"("truncate": 1)", "truncate"},
      {R"("stream": "yes")", "stream"},
      {R"("explain": "no")", "explain"},
      {R"("colour": 1)", "colour"},
  };
  for (const auto& [fields, param] : cases) EXPECT_EQ(query_param(fields), param) << fields;
}

TEST(ParseQueryTest, AQuestionIsTextOfSomeLength) {
  const auto param = [](const char* text) {
    return invalid_param_of([&] { parse_query(json(text), {.max_text_bytes = 4}); });
  };
  EXPECT_EQ(param("{}"), "question");
  EXPECT_EQ(param(R"({"question": null})"), "question");
  EXPECT_EQ(param(R"({"question": ["a"]})"), "question");
  EXPECT_EQ(param(R"({"question": ""})"), "question");
  EXPECT_EQ(param(R"({"question": "12345"})"), "question");
  EXPECT_EQ(parse_query(json(R"({"question": "1234"})"), {.max_text_bytes = 4}).query.question, "1234");
}

TEST(ParseQueryTest, NullStandsForAFieldLeftOut) {
  const QueryRequest request = parse_query(
      json(R"({"question": "q", "passages": null, "stop": null, "expand": {"fraction": null, "tokens": 3}})"), {});
  EXPECT_FALSE(request.query.passages);
  EXPECT_EQ(request.query.expand.tokens, 3u);
}

TEST(ParseQueryTest, AServerWithAShorterLongestAnswerHasAShorterDefault) {
  EXPECT_EQ(parse_query(json(R"({"question": "q"})"), {.max_tokens = 9}).query.max_tokens, 9u);
}

TEST(ParseQueryTest, WhatIsNoObjectIsRefused) {
  for (const char* text : {"[]", "3", "null", "\"question\""}) EXPECT_THROW(parse_query(json(text), {}), Error) << text;
}

TEST(ParseSearchTest, FieldsStandBesideTheQuery) {
  const SearchQuery search = parse_search(
      json(R"({"query": "oom", "top_k": 2, "mode": "dense", "filter": {"a": "b"}, "min_score": 0.5})"), {});
  EXPECT_EQ(search.query, "oom");
  EXPECT_EQ(search.retrieve.top_k, 2u);
  EXPECT_EQ(search.retrieve.mode, RetrieveMode::kDense);
  EXPECT_EQ(search.retrieve.filter, (Metadata{{"a", "b"}}));
  const auto param = [](const char* text) { return invalid_param_of([&] { parse_search(json(text), {}); }); };
  EXPECT_EQ(param("{}"), "query");
  EXPECT_EQ(param(R"({"query": "q", "top_k": "1"})"), "top_k");
  EXPECT_EQ(param(R"({"query": "q", "mode": "x"})"), "mode");
  EXPECT_EQ(param(R"({"query": "q", "filter": 1})"), "filter");
  EXPECT_EQ(param(R"({"query": "q", "min_score": []})"), "min_score");
  EXPECT_EQ(param(R"({"query": "q", "retrieve": {}})"), "retrieve");
}

TEST(ParseDocumentsTest, DocumentsComeWithTheirMetadata) {
  const auto documents = parse_documents(json(
      R"({"documents": [{"id": "a/b", "title": "T", "text": "x", "metadata": {"n": 1}}, {"id": "c", "text": "y"}]})"));
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].id, "a/b");
  EXPECT_EQ(documents[0].metadata, (Metadata{{"n", std::int64_t{1}}}));
  EXPECT_EQ(documents[1].title, "");
}

TEST(ParseDocumentsTest, EveryWrongFieldIsNamed) {
  const auto param = [](const char* text) { return invalid_param_of([&] { parse_documents(json(text)); }); };
  EXPECT_EQ(param("{}"), "documents");
  EXPECT_EQ(param(R"({"documents": {}})"), "documents");
  EXPECT_EQ(param(R"({"documents": [1]})"), "documents[0]");
  EXPECT_EQ(param(R"({"documents": [{"text": "x"}]})"), "documents[0].id");
  EXPECT_EQ(param(R"({"documents": [{"id": "a"}]})"), "documents[0].text");
  EXPECT_EQ(param(R"({"documents": [{"id": "a", "text": "x", "title": 1}]})"), "documents[0].title");
  EXPECT_EQ(param(R"({"documents": [{"id": "a", "text": "x", "metadata": {"k": [1]}}]})"), "documents[0].metadata.k");
  EXPECT_EQ(param(R"({"documents": [{"id": "a", "text": "x", "body": "x"}]})"), "documents[0].body");
  EXPECT_EQ(param(R"({"documents": [], "batch": 1})"), "batch");
}

TEST(ParsePageTest, LimitAndAfterAreReadAndAnythingElseIsNamed) {
  HttpRequest request;
  request.query = {{"after", "doc 7"}, {"limit", "5"}};
  EXPECT_EQ(parse_page(request).after, "doc 7");
  EXPECT_EQ(parse_page(request).limit, 5u);
  for (const char* limit : {"0", "-1", "1001", "five", "", "5x", "99999999999999999999"}) {
    request.query = {{"limit", limit}};
    EXPECT_EQ(invalid_param_of([&] { parse_page(request); }), "limit") << limit;
  }
  request.query = {{"offset", "5"}};
  EXPECT_EQ(invalid_param_of([&] { parse_page(request); }), "offset");
}

}  // namespace
}  // namespace refrag::server

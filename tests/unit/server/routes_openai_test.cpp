#include "server/routes.h"

#include <gtest/gtest.h>

#include "running_server.h"

namespace refrag::server {
namespace {

using refrag::testing::events_of;
using refrag::testing::Reply;
using refrag::testing::RunningServer;
using refrag::testing::saying;

Json chat_body(const std::string& more = "{}") {
  Json json = Json::parse(R"({"model": "fake", "messages": [{"role": "user", "content": "why?"}]})");
  json.update(Json::parse(more));
  return json;
}

TEST(OpenAiRoutesTest, AChatAnswersWholeAndStreamed) {
  const RunningServer server(saying("because"));
  const Json whole = server.post("/v1/chat/completions", chat_body()).json();
  EXPECT_EQ(whole["choices"][0]["message"]["content"], "because");
  EXPECT_EQ(whole["choices"][0]["finish_reason"], "stop");

  const Reply reply =
      server.post("/v1/chat/completions", chat_body(R"({"stream": true, "stream_options": {"include_usage": true}})"));
  EXPECT_TRUE(reply.body.ends_with("data: [DONE]\n\n"));
  std::string text;
  const auto events = events_of(reply.body);
  for (const auto& [name, data] : events) {
    EXPECT_EQ(data["object"], "chat.completion.chunk");
    EXPECT_EQ(data["id"], events.front().second["id"]);
    if (!data["choices"].empty()) text += data["choices"][0]["delta"].value("content", "");
  }
  EXPECT_EQ(text, "because");
  EXPECT_EQ(events[events.size() - 2].second["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(events.back().second["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
}

TEST(OpenAiRoutesTest, ACompletionContinuesItsPromptAndStopsWhereTold) {
  const RunningServer server(saying("one two three"));
  const Json json = server
                        .post("/v1/completions",
                              Json::parse(R"({"model": "fake", "prompt": "Count: ", "stop": " three", "logprobs": 1})"))
                        .json();
  EXPECT_EQ(json["object"], "text_completion");
  EXPECT_EQ(json["choices"][0]["text"], "one two");
  EXPECT_EQ(json["choices"][0]["finish_reason"], "stop");
  EXPECT_FALSE(json["choices"][0]["logprobs"]["tokens"].empty());
  const Reply stream = server.post(
      "/v1/completions", Json::parse(R"({"model": "fake", "prompt": "Count: ", "stream": true, "logprobs": 0})"));
  EXPECT_TRUE(stream.body.ends_with("data: [DONE]\n\n"));
  std::size_t length = 0;
  for (const auto& [name, data] : events_of(stream.body)) {
    const Json choice = data["choices"][0];
    const Json offset = choice.value(Json::json_pointer("/logprobs/text_offset/0"), Json(length));
    EXPECT_EQ(offset, length);
    length += choice["text"].get<std::string>().size();
  }
  EXPECT_EQ(length, 13u);
}

TEST(OpenAiRoutesTest, EmbeddingsComeAsNumbersOrBase64) {
  const RunningServer server;
  const Json plain = server.post("/v1/embeddings", Json::parse(R"({"model": "fake", "input": ["one", "two"]})")).json();
  EXPECT_EQ(plain["data"].size(), 2u);
  EXPECT_EQ(plain["data"][1]["embedding"].size(), 16u);
  const Json packed =
      server.post("/v1/embeddings", Json::parse(R"({"model": "fake", "input": "one", "encoding_format": "base64"})"))
          .json();
  EXPECT_EQ(packed["data"][0]["embedding"].get<std::string>().size(), 88u);  // 16 floats
}

TEST(OpenAiRoutesTest, EmbeddingsInSlicesAreThoseOfTheTextsInOrder) {
  const RunningServer server;
  Json texts = Json::array();
  for (int n = 0; n < 70; ++n) texts.push_back("word" + std::to_string(n));
  const Json many = server.post("/v1/embeddings", {{"model", "fake"}, {"input", texts}}).json();
  ASSERT_EQ(many["data"].size(), 70u);
  for (const std::size_t n : {0u, 31u, 32u, 69u}) {
    const Json one = server.post("/v1/embeddings", {{"model", "fake"}, {"input", texts[n]}}).json();
    EXPECT_EQ(many["data"][n]["embedding"], one["data"][0]["embedding"]) << n;
    EXPECT_EQ(many["data"][n]["index"], n);
  }
}

TEST(OpenAiRoutesTest, EmbeddingsThatTakeTooLongAre408) {
  RunningServer::Options options;
  options.config.request_seconds = 0;
  const RunningServer server(options);
  const Reply reply = server.post("/v1/embeddings", Json::parse(R"({"model": "fake", "input": "one"})"));
  EXPECT_EQ(reply.status, 408);
  EXPECT_EQ(reply.at("/error/code"), "timeout");
}

TEST(OpenAiRoutesTest, TheModelIsListedAndFoundByItsName) {
  const RunningServer server;
  EXPECT_EQ(server.request("GET", "/v1/models").json()["data"][0]["id"], "fake");
  EXPECT_EQ(server.request("GET", "/v1/models/fake").json()["object"], "model");
  EXPECT_EQ(server.request("GET", "/v1/models/gpt-4").status, 404);
  EXPECT_EQ(server.post("/v1/chat/completions", chat_body(R"({"model": "gpt-4"})")).status, 404);
}

}  // namespace
}  // namespace refrag::server

#include "server/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/message.h"
#include "running_server.h"

namespace refrag::server {
namespace {

using refrag::testing::events_of;
using refrag::testing::Headers;
using refrag::testing::inline_question;
using refrag::testing::RawClient;
using refrag::testing::Reply;
using refrag::testing::request_bytes;
using refrag::testing::RunningServer;
using refrag::testing::saying;
using refrag::testing::some_documents;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// ---------------------------------------------------------------- questions

TEST(ServerTest, AQuestionWithPassagesGetsAnAnswerInTheShapeOfTheContract) {
  const RunningServer server(saying("because of the air"));
  const Reply reply = server.post("/v1/query", inline_question());
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json json = reply.json();
  EXPECT_EQ(json["answer"], "because of the air");
  EXPECT_EQ(json["model"], "fake");
  EXPECT_EQ(json["finish_reason"], "stop");
  EXPECT_THAT(json["id"].get<std::string>(), StartsWith("q-"));
  const Json hit = json["retrieval"]["hits"][0];
  EXPECT_EQ(hit["passage_id"], "p1");
  for (const char* name : {"document_id", "title", "text", "score", "dense", "lexical", "chunks"})
    EXPECT_TRUE(hit.contains(name)) << name;
  for (const char* name : {"start", "end", "state", "score", "reason"})
    EXPECT_TRUE(hit["chunks"][0].contains(name)) << name;
  EXPECT_EQ(hit["chunks"].size(), json["usage"]["chunks"]);
  for (const char* name :
       {"retrieve", "lookup", "encode", "project", "policy", "prefill", "ttft", "per_token", "total"}) {
    EXPECT_TRUE(json["timings_ms"].contains(name)) << name;
  }
}

TEST(ServerTest, AStreamHasTheRetrievalFirstThenTokensThenTheWholeAnswer) {
  const RunningServer server(saying("blue light"));
  const Reply reply = server.post("/v1/query", inline_question(R"({"stream": true, "logprobs": 1})"));
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.headers.at("content-type"), "text/event-stream");
  const auto events = events_of(reply.body);
  EXPECT_EQ(events.front().first, "retrieval");
  EXPECT_EQ(events.front().second["hits"][0]["passage_id"], "p1");
  EXPECT_EQ(events.back().first, "done");
  EXPECT_EQ(events.back().second["answer"], "blue light");
  std::string text;
  for (const auto& [name, data] : events) {
    if (name != "token") continue;
    text += data["text"].get<std::string>();
    EXPECT_TRUE(data["logprob"].is_number());
  }
  EXPECT_EQ(text, "blue light");
}

TEST(ServerTest, AnErrorBeforeTheFirstEventOfAStreamHasItsOwnStatus) {
  RunningServer::Options options;
  options.model.context_length = 40;
  const RunningServer server(options);
  const Reply reply = server.post("/v1/query", inline_question(R"({"stream": true, "mode": "full"})"));
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.at("/error/code"), "context_length_exceeded");
}

TEST(ServerTest, AFailureDuringAStreamIsItsLastEvent) {
  RunningServer server;
  server.runner->step_gate().close();
  RawClient client(server.port);
  client.send(request_bytes("POST", "/v1/query", inline_question(R"({"stream": true})").dump()));
  server.runner->step_gate().wait_for_arrival();
  server.runner->fail_next_step("the model fell over");
  server.runner->step_gate().open();
  const auto events = events_of(client.read_reply().body);
  EXPECT_EQ(events.back().first, "error");
  EXPECT_EQ(events.back().second["error"]["code"], "internal_error");
}

TEST(ServerTest, WrongFieldsAre400WithTheirNames) {
  const RunningServer server;
  EXPECT_EQ(server.post("/v1/query", {{"question", 3}}).at("/error/param"), "question");
  const Reply reply = server.post("/v1/query", inline_question(R"({"expand": {"share": 1}})"));
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.at("/error/param"), "expand.share");
  EXPECT_EQ(reply.at("/error/code"), "invalid_argument");
  EXPECT_EQ(reply.at("/error/type"), "invalid_request_error");
  EXPECT_EQ(server.post("/v1/search", {{"query", "x"}, {"k", 1}}).at("/error/param"), "k");
  EXPECT_EQ(
      server.post("/v1/query", inline_question(R"({"expand": {"by": "ids", "ids": [{"passage": 7, "chunk": 0}]}})"))
          .status,
      400);
}

TEST(ServerTest, BodiesThatAreNoJsonAre400) {
  const RunningServer server;
  const std::string bodies[] = {"{",
                                "[]",
                                "\xff\xfe",
                                "{\"question\": \"\\ud800\"}",
                                std::string(100'000, '['),
                                std::string("{\"question\": \"a\0b\"}", 19),
                                "{\"question\": \"\xC3\"}",
                                "{\"a\": 1e999}",
                                "nul"};
  for (const std::string& body : bodies)
    EXPECT_EQ(server.request("POST", "/v1/query", body).status, 400) << body.substr(0, 30);
  EXPECT_EQ(server.request("POST", "/v1/query").status, 400);
  EXPECT_EQ(server.request("GET", "/healthz").status, 200);
}

TEST(ServerTest, WithoutAKnowledgeBasePassagesMustComeAlong) {
  RunningServer::Options options = saying("yes");
  options.has_knowledge_base = false;
  const RunningServer server(options);
  EXPECT_EQ(server.post("/v1/query", inline_question()).status, 200);
  EXPECT_EQ(server.post("/v1/query", {{"question", "q"}, {"mode", "none"}}).status, 200);
  const Reply reply = server.post("/v1/query", {{"question", "q"}});
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.at("/error/param"), "passages");
  EXPECT_EQ(server.post("/v1/search", {{"query", "q"}}).status, 404);
  EXPECT_EQ(server.post("/v1/documents", some_documents()).status, 404);
  EXPECT_THAT(server.request("GET", "/v1/documents").body, HasSubstr("--kb"));
}

// ---------------------------------------------------------------- clients that leave, queues, time

TEST(ServerTest, AClientThatLeavesItsStreamEndsItsGeneration) {
  RunningServer server;
  server.runner->step_gate().close();
  RawClient client(server.port);
  client.send(request_bytes("POST", "/v1/query", inline_question(R"({"stream": true, "max_tokens": 1500})").dump()));
  client.read_until("event: retrieval");
  server.runner->step_gate().wait_for_arrival();
  client.close();
  server.wait_for_metric(R"(route="/v1/query",status="200"} 1)");
  server.runner->step_gate().open();
  while (server.backend->engine.stats().cancelled == 0) std::this_thread::yield();
  EXPECT_EQ(server.backend->engine.stats().running, 0u);
}

TEST(ServerTest, AClientThatLeavesAPlainRequestEndsItsGeneration) {
  RunningServer server;
  server.runner->step_gate().close();
  RawClient client(server.port);
  client.send(request_bytes("POST", "/v1/query", inline_question(R"({"max_tokens": 1500})").dump()));
  server.runner->step_gate().wait_for_arrival();
  client.close();
  server.wait_for_metric(R"(route="/v1/query",status="499"} 1)");
  server.runner->step_gate().open();
  while (server.backend->engine.stats().cancelled == 0) std::this_thread::yield();
}

TEST(ServerTest, OneClientsLeavingDoesNotEndAnothersRequest) {
  RunningServer server;
  server.runner->step_gate().close();
  RawClient leaves(server.port);
  RawClient stays(server.port);
  const std::string bytes =
      request_bytes("POST", "/v1/query", inline_question(R"({"stream": true, "max_tokens": 300})").dump());
  leaves.send(bytes);
  stays.send(bytes);
  leaves.read_until("event: retrieval");
  stays.read_until("HTTP/1.1");
  leaves.close();
  server.wait_for_metric(R"(route="/v1/query",status="200"} 1)");
  server.runner->step_gate().open();
  const std::string rest = stays.read_until("event: done");
  EXPECT_THAT(rest, HasSubstr("event: done"));
  EXPECT_THAT(stays.read_until("\n\n"), HasSubstr("\"finish_reason\":\"length\""));
}

TEST(ServerTest, AFullQueueIs429WithATimeToTryAgain) {
  RunningServer::Options options;
  options.config.max_running = 1;
  options.config.max_queue = 0;
  RunningServer server(options);
  server.runner->step_gate().close();
  RawClient first(server.port);
  first.send(request_bytes("POST", "/v1/query", inline_question(R"({"max_tokens": 2})").dump()));
  server.runner->step_gate().wait_for_arrival();
  const Reply refused = server.post("/v1/query", inline_question());
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.at("/error/code"), "queue_full");
  EXPECT_EQ(refused.headers.at("retry-after"), "1");
  server.runner->step_gate().open();
  EXPECT_EQ(first.read_reply().status, 200);
}

TEST(ServerTest, AnAnswerThatTakesTooLongIs408) {
  RunningServer::Options options;
  options.config.request_seconds = 0.05;
  RunningServer server(options);
  server.runner->step_gate().close();
  const Reply reply = server.post("/v1/query", inline_question());
  EXPECT_EQ(reply.status, 408);
  EXPECT_EQ(reply.at("/error/code"), "timeout");
  server.runner->step_gate().open();
}

TEST(ServerTest, LimitsOfTheConfigurationHold) {
  RunningServer::Options options = saying("yes");
  options.config.max_body_bytes = 2000;
  options.config.max_text_bytes = 10;
  options.config.max_tokens = 5;
  const RunningServer server(options);
  EXPECT_EQ(server.request("POST", "/v1/query", std::string(2001, ' ')).status, 413);
  EXPECT_EQ(server.post("/v1/query", inline_question(R"({"question": "12345678901"})")).at("/error/param"), "question");
  EXPECT_EQ(server.post("/v1/query", inline_question(R"({"max_tokens": 6})")).at("/error/param"), "max_tokens");
  EXPECT_EQ(server.request("POST", "/v1/query", "<a/>", {{"Content-Type", "text/xml"}}).status, 415);
  EXPECT_EQ(server.request("GET", "/v1/query").status, 405);
}

// ---------------------------------------------------------------- starting and ending

TEST(ServerTest, BeforeTheModelIsLoadedOnlyHealthAnswers) {
  RunningServer::Options options = saying("yes");
  options.is_loaded = false;
  RunningServer server(options);
  EXPECT_EQ(server.request("GET", "/healthz").body, R"({"status":"ok"})");
  EXPECT_EQ(server.request("GET", "/readyz").status, 503);
  EXPECT_EQ(server.post("/v1/query", inline_question()).status, 503);
  EXPECT_EQ(server.request("GET", "/metrics").status, 200);
  server.load();
  EXPECT_EQ(server.request("GET", "/readyz").body, R"({"status":"ok"})");
  EXPECT_EQ(server.post("/v1/query", inline_question()).status, 200);
}

TEST(ServerTest, DrainingLetsARunningRequestFinishAndTakesNoNewOne) {
  RunningServer server(saying("at last"));
  server.runner->step_gate().close();
  RawClient running(server.port);
  running.send(request_bytes("POST", "/v1/query", inline_question().dump()));
  server.runner->step_gate().wait_for_arrival();
  std::thread end([&] { server.shut_down(); });
  while (server.request("GET", "/readyz").status != 503) std::this_thread::yield();
  EXPECT_EQ(server.request("GET", "/healthz").status, 200);
  EXPECT_EQ(server.post("/v1/query", inline_question()).status, 503);
  server.runner->step_gate().open();
  EXPECT_EQ(running.read_reply().json()["answer"], "at last");
  end.join();
}

TEST(ServerTest, WhatStillRunsWhenTheDrainIsOverIsCancelled) {
  RunningServer::Options options;
  options.config.drain_seconds = 0.01;
  RunningServer server(options);
  server.runner->step_gate().close();
  RawClient running(server.port);
  running.send(request_bytes("POST", "/v1/query", inline_question().dump()));
  server.runner->step_gate().wait_for_arrival();
  std::thread end([&] { server.shut_down(); });
  EXPECT_EQ(running.read_reply().status, 503);
  end.join();
  server.runner->step_gate().open();
}

TEST(ServerTest, DrainingLetsARunningUploadFinishAndTakesNoNewOne) {
  RunningServer server;
  server.runner->encode_gate().close();
  RawClient running(server.port);
  running.send(request_bytes("POST", "/v1/documents", some_documents().dump()));
  server.runner->encode_gate().wait_for_arrival();
  std::thread end([&] { server.shut_down(); });
  while (server.request("GET", "/readyz").status != 503) std::this_thread::yield();
  EXPECT_EQ(server.post("/v1/documents", some_documents()).status, 503);
  EXPECT_EQ(server.post("/v1/embeddings", Json::parse(R"({"model": "fake", "input": "x"})")).status, 503);
  server.runner->encode_gate().open();
  EXPECT_EQ(running.read_reply().json()["created"], 2);
  end.join();
}

TEST(ServerTest, AnUploadThatOutlivesTheDrainEndsAfterTheCommitItIsAt) {
  RunningServer::Options options;
  options.config.drain_seconds = 0.01;
  RunningServer server(options);
  server.runner->encode_gate().close();
  std::string lines;
  for (int n = 0; n < 200; ++n) lines += message(R"({"id": "d)", n, R"(", "text": "number )", n, "\"}\n");
  RawClient idle(server.port);
  RawClient running(server.port);
  running.send(request_bytes("POST", "/v1/documents", lines, {{"Content-Type", "application/x-ndjson"}}));
  server.runner->encode_gate().wait_for_arrival();
  std::thread end([&] { server.shut_down(); });
  EXPECT_TRUE(idle.at_end());  // the drain is over
  server.runner->encode_gate().open();
  EXPECT_EQ(running.read_reply().status, 503);
  end.join();
  EXPECT_EQ(server.knowledge_base->stats().documents, 64u);
}

TEST(ServerTest, AServerThatNeverGotItsModelEnds) {
  RunningServer::Options options;
  options.is_loaded = false;
  RunningServer server(options);
  server.shut_down();
}

// ---------------------------------------------------------------- keys, metrics, assets

std::vector<std::pair<std::string, std::string>> documented_routes() {
  const Json api = parse_json_file(REFRAG_SOURCE_DIR "/server/openapi.json");
  std::vector<std::pair<std::string, std::string>> routes;
  for (const auto& [path, methods] : api["paths"].items()) {
    for (const auto& [method, unused] : methods.items()) {
      std::string upper = method;
      std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
      routes.emplace_back(upper, path);
    }
  }
  return routes;
}

TEST(ServerTest, EveryRouteIsDocumentedAndEveryDocumentedRouteIsThere) {
  Metrics metrics;
  Routes routes({}, metrics);
  std::set<std::pair<std::string, std::string>> served;
  for (const Route& route : routes.table()) {
    std::string path = route.path;
    if (path.ends_with('*')) path.replace(path.size() - 1, 1, "{id}");
    served.emplace(route.method, path);
  }
  const auto documented = documented_routes();
  EXPECT_EQ(served, (std::set<std::pair<std::string, std::string>>(documented.begin(), documented.end())));
}

TEST(ServerTest, KeysGuardEveryRouteButTheProbesAndThePage) {
  RunningServer::Options options = saying("yes");
  options.config.api_keys = "alpha,beta";
  const RunningServer server(options);
  const std::set<std::string> open = {"/healthz", "/readyz", "/", "/app.js", "/style.css"};
  for (const auto& [method, path] : documented_routes()) {
    EXPECT_EQ(server.request(method, path).status == 401, !open.contains(path)) << method << ' ' << path;
  }
  EXPECT_EQ(server.request("GET", "/nowhere").status, 401);
  const Headers key = {{"Authorization", "Bearer beta"}};
  EXPECT_EQ(server.request("GET", "/v1/models", "", key).status, 200);
  EXPECT_EQ(server.post("/v1/query", inline_question(), key).status, 200);
  const Reply refused = server.post("/v1/query", inline_question(), {{"Authorization", "Bearer gamma"}});
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(refused.headers.at("www-authenticate"), "Bearer");
}

TEST(ServerTest, MetricsTellWhatWasDone) {
  const RunningServer server(saying("yes indeed"));
  server.post("/v1/query", inline_question());
  server.wait_for_metric(R"(refrag_http_requests_total{method="POST",route="/v1/query",status="200"} 1)");
  const std::string text = server.request("GET", "/metrics").body;
  EXPECT_THAT(text, HasSubstr("refrag_questions_total 1"));
  EXPECT_THAT(text, HasSubstr("refrag_time_to_first_token_seconds_count 1"));
  EXPECT_THAT(text, HasSubstr("refrag_kb_documents 0"));
}

TEST(ServerTest, ThePageComesWithItsFilesAndRunsNobodyElsesScripts) {
  const RunningServer server;
  const Reply page = server.request("GET", "/");
  EXPECT_EQ(page.headers.at("content-type"), "text/html");
  EXPECT_THAT(page.headers.at("content-security-policy"), HasSubstr("default-src 'none'"));
  EXPECT_THAT(page.body, HasSubstr("app.js"));
  EXPECT_THAT(page.body, Not(HasSubstr("http://")));
  EXPECT_THAT(page.body, Not(HasSubstr("https://")));
  const std::string script = server.request("GET", "/app.js").body;
  EXPECT_THAT(script, HasSubstr("textContent"));
  EXPECT_THAT(script, Not(HasSubstr("innerHTML")));
  EXPECT_EQ(server.request("GET", "/style.css").status, 200);
  EXPECT_EQ(server.request("GET", "/openapi.json").json()["openapi"], "3.1.0");
}

}  // namespace
}  // namespace refrag::server

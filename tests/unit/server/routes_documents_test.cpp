#include "server/routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/message.h"
#include "running_server.h"

namespace refrag::server {
namespace {

using refrag::testing::Reply;
using refrag::testing::RunningServer;
using refrag::testing::saying;
using refrag::testing::some_documents;
using ::testing::HasSubstr;

TEST(DocumentRoutesTest, DocumentsComeAndGoByIdsWithSlashes) {
  const RunningServer server;
  const Reply added = server.post("/v1/documents", some_documents());
  ASSERT_EQ(added.status, 200) << added.body;
  EXPECT_EQ(added.json()["created"], 2);
  EXPECT_EQ(added.json()["results"][1], Json::parse(R"({"id": "a/b c", "status": "created", "error": null})"));
  EXPECT_EQ(server.post("/v1/documents", some_documents()).json()["unchanged"], 2);

  for (const char* path : {"/v1/documents/a%2Fb%20c", "/v1/documents/a/b%20c"}) {
    const Reply stored = server.request("GET", path);
    ASSERT_EQ(stored.status, 200) << path;
    EXPECT_EQ(stored.json()["text"], "Grass is green, says the gardener.");
    EXPECT_EQ(stored.json()["metadata"], Json::parse(R"({"kind": "garden"})"));
    EXPECT_EQ(stored.json()["passages"][0]["id"], "a/b c#0");
  }
  const Reply removed = server.request("DELETE", "/v1/documents/a%2Fb%20c");
  EXPECT_EQ(removed.status, 200);
  EXPECT_EQ(removed.json(), Json::parse(R"({"id": "a/b c", "deleted": true})"));
  EXPECT_EQ(server.request("DELETE", "/v1/documents/a%2Fb%20c").status, 404);
  EXPECT_EQ(server.request("GET", "/v1/documents/a%2Fb%20c").at("/error/code"), "not_found");
}

TEST(DocumentRoutesTest, PositionsAreCodePoints) {
  const RunningServer server(saying("x"));
  server.post("/v1/documents", Json::parse(R"({"documents": [{"id": "d", "text": "éé häuser"}]})"));
  EXPECT_EQ(server.request("GET", "/v1/documents/d").json()["passages"][0]["end"], 9);
}

TEST(DocumentRoutesTest, TheListGoesOnWhereItsNextSays) {
  const RunningServer server;
  Json documents = {{"documents", Json::array()}};
  for (int n = 0; n < 5; ++n)
    documents["documents"].push_back({{"id", message("d", n)}, {"text", message("text ", n)}});
  server.post("/v1/documents", documents);
  std::vector<std::string> ids;
  std::string path = "/v1/documents?limit=2";
  for (;;) {
    const Json page = server.request("GET", path).json();
    for (const Json& document : page["documents"]) ids.push_back(document["id"]);
    if (page["next"].is_null()) break;
    path = "/v1/documents?limit=2&after=" + page["next"].get<std::string>();
  }
  EXPECT_EQ(ids, (std::vector<std::string>{"d0", "d1", "d2", "d3", "d4"}));
  EXPECT_EQ(server.request("GET", "/v1/documents?limit=0").at("/error/param"), "limit");
  EXPECT_EQ(server.request("GET", "/v1/documents?page=2").at("/error/param"), "page");
}

TEST(DocumentRoutesTest, NdjsonGoesInLineByLineAndReportsTheBadOnes) {
  const RunningServer server;
  const std::string lines =
      "{\"id\": \"one\", \"text\": \"first\"}\n{\"id\": 3}\n{\"id\": \"two\", \"text\": \"second\"}\n";
  for (const char* type : {"application/x-ndjson", "application/jsonl"}) {
    const Reply reply = server.request("POST", "/v1/documents", lines, {{"Content-Type", type}});
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.json()["errors"], 1);
    EXPECT_EQ(reply.json()["results"][1]["status"], "error");
    EXPECT_THAT(reply.json()["results"][1]["error"], HasSubstr("line 2"));
  }
  EXPECT_EQ(server.knowledge_base->stats().documents, 2u);
}

TEST(DocumentRoutesTest, NdjsonMayBeLargerThanAnyOtherBody) {
  RunningServer::Options options;
  options.config.max_body_bytes = 2000;
  options.config.max_bulk_bytes = 100'000;
  const RunningServer server(options);
  std::string lines;
  for (int n = 0; n < 200; ++n)
    lines += message(R"({"id": "d)", n, R"(", "text": "some words about number )", n, "\"}\n");
  EXPECT_EQ(
      server.request("POST", "/v1/documents", lines, {{"Content-Type", "application/x-ndjson"}}).json()["created"],
      200);
  EXPECT_EQ(
      server.request("POST", "/v1/documents", std::string(100'001, '\n'), {{"Content-Type", "application/x-ndjson"}})
          .status,
      413);
}

TEST(DocumentRoutesTest, FilesComeAsAForm) {
  const RunningServer server;
  const std::string body =
      "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"notes.md\"\r\n\r\n# Notes\n\nGrass is "
      "green.\r\n--B--\r\n";
  const Reply reply =
      server.request("POST", "/v1/documents", body, {{"Content-Type", "multipart/form-data; boundary=B"}});
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.json()["results"][0]["id"], "notes.md");
  EXPECT_THAT(server.request("GET", "/v1/documents/notes.md").json()["text"], HasSubstr("Grass is green."));
}

TEST(DocumentRoutesTest, AFormFromThePageItselfPassesAndOneFromAnotherSiteDoesNot) {
  const RunningServer server;
  const std::string body =
      "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.txt\"\r\n\r\nwords\r\n--B--\r\n";
  const std::string type = "multipart/form-data; boundary=B";
  const Reply refused =
      server.request("POST", "/v1/documents", body, {{"Content-Type", type}, {"Origin", "http://evil.example"}});
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.at("/error/code"), "forbidden_origin");
  EXPECT_EQ(server.knowledge_base->stats().documents, 0u);
  EXPECT_EQ(server.request("DELETE", "/v1/documents/a", "", {{"Origin", "http://evil.example"}}).status, 403);
  const std::string ours = "http://test";  // the Host that RawClient sends
  EXPECT_EQ(server.request("POST", "/v1/documents", body, {{"Content-Type", type}, {"Origin", ours}}).status, 200);
}

TEST(DocumentRoutesTest, AnUploadWhoseClientLeftIsNotCommitted) {
  const RunningServer server;
  Metrics metrics;
  Routes routes({}, metrics);
  routes.set_backend(server.backend);
  const std::vector<Route> table = routes.table();
  for (const char* path : {"/v1/documents", "/v1/embeddings"}) {
    HttpRequest request;
    request.content_type = "application/json";
    request.read_body = [&](std::size_t, const TakeBytes& take) {
      take(std::string_view(path) == "/v1/documents" ? some_documents().dump() : R"({"model": "fake", "input": "x"})");
    };
    request.client_gone = [] { return true; };
    const auto route = std::find_if(table.begin(), table.end(),
                                    [&](const Route& each) { return each.path == path && each.method == "POST"; });
    try {
      route->handler(request);
      FAIL() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCancelled) << path;
    }
  }
  EXPECT_EQ(server.knowledge_base->stats().documents, 0u);
}

TEST(DocumentRoutesTest, ABusyKnowledgeBaseIs409) {
  const RunningServer server;
  server.post("/v1/documents", some_documents());
  const auto other = KnowledgeBase::open(server.knowledge_base->directory());
  const auto lock = other->lock_for_writing();
  const Reply reply = server.post("/v1/documents", Json::parse(R"({"documents": [{"id": "n", "text": "new"}]})"));
  EXPECT_EQ(reply.status, 409);
  EXPECT_EQ(reply.at("/error/code"), "busy");
  EXPECT_TRUE(reply.headers.contains("retry-after"));
  EXPECT_EQ(server.request("DELETE", "/v1/documents/sky").status, 409);
  EXPECT_EQ(server.request("GET", "/v1/documents/sky").status, 200);
}

TEST(DocumentRoutesTest, SearchFindsAndFiltersWithoutChunks) {
  const RunningServer server;
  server.post("/v1/documents", some_documents());
  const Reply reply = server.post("/v1/search", Json::parse(R"({"query": "green grass", "mode": "lexical"})"));
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json hit = reply.json()["hits"][0];
  EXPECT_EQ(hit["document_id"], "a/b c");
  EXPECT_EQ(hit["lexical"]["rank"], 1);
  EXPECT_TRUE(hit["dense"].is_null());
  EXPECT_FALSE(hit.contains("chunks"));
  const Json filtered = server.post("/v1/search", Json::parse(R"({"query": "is", "filter": {"n": 1}})")).json();
  ASSERT_EQ(filtered["hits"].size(), 1u);
  EXPECT_EQ(filtered["hits"][0]["document_id"], "sky");
  EXPECT_EQ(server.post("/v1/search", Json::parse(R"({"query": "green", "filter": {"n": 7}})")).json()["hits"],
            Json::array());
}

TEST(DocumentRoutesTest, AQuestionOverTheKnowledgeBaseCitesIt) {
  const RunningServer server(saying("green"));
  server.post("/v1/documents", some_documents());
  const Json json =
      server.post("/v1/query", Json::parse(R"({"question": "What is green?", "retrieve": {"top_k": 1}})")).json();
  EXPECT_EQ(json["retrieval"]["empty"], false);
  EXPECT_EQ(json["citations"][0]["document_id"], "a/b c");
  const Json empty =
      server.post("/v1/query", Json::parse(R"({"question": "What?", "retrieve": {"filter": {"kind": "none"}}})"))
          .json();
  EXPECT_EQ(empty["retrieval"]["empty"], true);
  EXPECT_EQ(empty["citations"], Json::array());
  EXPECT_EQ(empty["answer"], "green");
}

}  // namespace
}  // namespace refrag::server

#include "server/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace refrag::server {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(MetricsTest, RequestsAreCountedByRouteNotByPath) {
  Metrics metrics;
  metrics.count_request(
      {.method = "GET", .route = "/v1/documents/*", .path = "/v1/documents/secret", .status = 200, .milliseconds = 3});
  metrics.count_request({.method = "GET", .path = "/admin.php", .status = 404, .milliseconds = 1});
  const std::string text = metrics.text(std::nullopt, std::nullopt);
  EXPECT_THAT(text, HasSubstr(R"(refrag_http_requests_total{method="GET",route="/v1/documents/*",status="200"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(route="unknown",status="404"} 1)"));
  EXPECT_THAT(text, HasSubstr("refrag_http_request_seconds_count 2"));
  EXPECT_THAT(text, Not(HasSubstr("secret")));
  EXPECT_THAT(text, Not(HasSubstr("admin")));
}

TEST(MetricsTest, AnswersFillTheHistograms) {
  Metrics metrics;
  Answer answer;
  answer.usage.completion_tokens = 3;
  answer.timings.ttft = 30;
  answer.timings.per_token = 4;
  metrics.count_answer(answer);
  const std::string text = metrics.text(std::nullopt, std::nullopt);
  EXPECT_THAT(text, HasSubstr("refrag_time_to_first_token_seconds_sum 0.03"));
  EXPECT_THAT(text, HasSubstr("refrag_time_per_token_seconds_count 1"));
  EXPECT_THAT(text, HasSubstr(R"(refrag_time_per_token_seconds_bucket{le="0.005"} 1)"));
}

TEST(MetricsTest, TheEnginesAndTheBasesFiguresAreThere) {
  EngineStats engine;
  engine.running = 2;
  engine.prompt_positions = 100;
  engine.prompt_tokens = 900;
  engine.kv_cache_bytes_used = 4096;
  KnowledgeBaseStats base;
  base.documents = 7;
  const std::string text = Metrics().text(engine, base);
  EXPECT_THAT(text, HasSubstr("# TYPE refrag_prompt_positions_total counter"));
  EXPECT_THAT(text, HasSubstr("refrag_prompt_positions_total 100"));
  EXPECT_THAT(text, HasSubstr("refrag_prompt_tokens_total 900"));
  EXPECT_THAT(text, HasSubstr("refrag_requests_running 2"));
  EXPECT_THAT(text, HasSubstr("refrag_kv_cache_bytes 4096"));
  EXPECT_THAT(text, HasSubstr("refrag_kb_documents 7"));
}

TEST(MetricsTest, DocumentsAreCountedByOutcome) {
  Metrics metrics;
  metrics.count_documents(
      {{"a", DocumentStatus::kCreated, ""}, {"b", DocumentStatus::kCreated, ""}, {"c", DocumentStatus::kError, "x"}});
  EXPECT_THAT(metrics.text(std::nullopt, std::nullopt), HasSubstr(R"(refrag_documents_total{status="created"} 2)"));
}

}  // namespace
}  // namespace refrag::server

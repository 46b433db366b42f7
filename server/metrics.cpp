#include "server/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <utility>
#include <vector>

namespace refrag::server {
namespace {

using prometheus::ClientMetric;
using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::MetricType;

// Seconds: from a small model's token to a long prompt on two cores.
const Histogram::BucketBoundaries kSeconds = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2,
                                              0.5,   1,     2,     5,    10,   30,   60};

MetricFamily gauge(const char* name, const char* help, double value) {
  ClientMetric metric;
  metric.gauge.value = value;
  return {name, help, MetricType::Gauge, {metric}};
}

MetricFamily counter(const char* name, const char* help, std::uint64_t value) {
  ClientMetric metric;
  metric.counter.value = static_cast<double>(value);
  return {name, help, MetricType::Counter, {metric}};
}

std::vector<MetricFamily> families_of(const EngineStats& stats) {
  return {
      gauge("refrag_requests_waiting", "Questions in the engine's queue", static_cast<double>(stats.waiting)),
      gauge("refrag_requests_running", "Questions being answered", static_cast<double>(stats.running)),
      counter("refrag_questions_total", "Questions taken by the engine", stats.requests),
      counter("refrag_questions_failed_total", "Questions that ended with an error", stats.failed),
      counter("refrag_questions_cancelled_total", "Questions whose client left or whose time was up", stats.cancelled),
      counter("refrag_prompt_positions_total", "Positions the decoder saw of prompts", stats.prompt_positions),
      counter("refrag_prompt_tokens_total", "Tokens of prompts, had nothing been compressed", stats.prompt_tokens),
      counter("refrag_completion_tokens_total", "Tokens generated", stats.completion_tokens),
      counter("refrag_chunks_total", "Chunks in prompts", stats.chunks),
      counter("refrag_chunks_expanded_total", "Chunks given back as tokens", stats.expanded_chunks),
      counter("refrag_chunks_encoded_total", "Chunks encoded while a question waited", stats.encoded_chunks),
      gauge("refrag_kv_cache_bytes", "Bytes of the KV cache in use", static_cast<double>(stats.kv_cache_bytes_used)),
      gauge("refrag_kv_cache_bytes_limit", "Bytes the KV cache may use",
            static_cast<double>(stats.kv_cache_bytes_limit)),
  };
}

std::vector<MetricFamily> families_of(const KnowledgeBaseStats& stats) {
  return {
      gauge("refrag_kb_documents", "Documents in the knowledge base", static_cast<double>(stats.documents)),
      gauge("refrag_kb_passages", "Passages in the knowledge base", static_cast<double>(stats.passages)),
      gauge("refrag_kb_chunks", "Chunks in the knowledge base", static_cast<double>(stats.chunks)),
      gauge("refrag_kb_bytes", "Bytes of the knowledge base on disk",
            static_cast<double>(stats.metadata_bytes + stats.vector_bytes)),
  };
}

void append(std::vector<MetricFamily>& all, std::vector<MetricFamily> more) {
  all.insert(all.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

struct Metrics::Families {
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests = prometheus::BuildCounter()
                                                          .Name("refrag_http_requests_total")
                                                          .Help("HTTP requests by route and status")
                                                          .Register(registry);
  prometheus::Family<prometheus::Counter>& documents = prometheus::BuildCounter()
                                                           .Name("refrag_documents_total")
                                                           .Help("Documents sent in, by what became of them")
                                                           .Register(registry);
  Histogram& seconds = histogram("refrag_http_request_seconds", "From a request's head to the end of its answer");
  Histogram& first_token =
      histogram("refrag_time_to_first_token_seconds", "From a question's arrival to its first token");
  Histogram& per_token = histogram("refrag_time_per_token_seconds", "Mean time of an answer's tokens after the first");

 private:
  Histogram& histogram(const char* name, const char* help) {
    return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, kSeconds);
  }
};

Metrics::Metrics() : families_(std::make_unique<Families>()) {}
Metrics::~Metrics() = default;

void Metrics::count_request(const Finished& finished) {
  // Unknown paths share one label: a client must not be able to make new time series.
  const std::string route = finished.route.empty() ? "unknown" : finished.route;
  families_->requests.Add({{"method", finished.method}, {"route", route}, {"status", std::to_string(finished.status)}})
      .Increment();
  families_->seconds.Observe(finished.milliseconds / 1000);
}

void Metrics::count_answer(const Answer& answer) {
  if (answer.usage.completion_tokens == 0) return;
  families_->first_token.Observe(answer.timings.ttft / 1000);
  if (answer.usage.completion_tokens > 1) families_->per_token.Observe(answer.timings.per_token / 1000);
}

void Metrics::count_documents(const std::vector<DocumentResult>& results) {
  for (const DocumentResult& result : results)
    families_->documents.Add({{"status", name_of(result.status)}}).Increment();
}

std::string Metrics::text(const std::optional<EngineStats>& engine,
                          const std::optional<KnowledgeBaseStats>& knowledge_base) const {
  std::vector<MetricFamily> all = families_->registry.Collect();
  if (engine) append(all, families_of(*engine));
  if (knowledge_base) append(all, families_of(*knowledge_base));
  return prometheus::TextSerializer().Serialize(all);
}

}  // namespace refrag::server

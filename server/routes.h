#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/backend.h"
#include "server/generation.h"
#include "server/http_types.h"
#include "server/metrics.h"
#include "server/openai.h"
#include "server/parse.h"

namespace refrag::server {

struct RoutesOptions {
  RequestLimits limits;
  GenerationLimits generation;
  std::size_t max_body_bytes = 16u << 20;
  std::size_t max_bulk_bytes = 1u << 30;
};

/// The HTTP API, route by route: each handler parses, calls and renders (docs/http-api.md). Thread-safe.
class Routes {
 public:
  Routes(RoutesOptions options, Metrics& metrics) : options_(options), metrics_(metrics) {}
  std::vector<Route> table();  // its handlers refer to this object

  void set_backend(std::shared_ptr<Backend> backend);  // ready from now on
  void begin_draining();                               // readyz says no, nothing begins; what runs goes on
  /// Waits for uploads and embeddings, of which the engine does not know; false where some still run at `deadline`.
  bool drain_until(std::chrono::steady_clock::time_point deadline);
  void give_up() { giving_up_ = true; }      // what still runs ends with kUnavailable
  std::shared_ptr<Backend> backend() const;  // throws kUnavailable until there is one

 private:
  HttpResponse post_query(const HttpRequest& request);
  HttpResponse post_search(const HttpRequest& request);
  HttpResponse post_documents(const HttpRequest& request);
  HttpResponse get_documents(const HttpRequest& request);
  HttpResponse get_document(const HttpRequest& request);
  HttpResponse delete_document(const HttpRequest& request);
  HttpResponse post_chat(const HttpRequest& request);
  HttpResponse post_completion(const HttpRequest& request);
  HttpResponse post_embeddings(const HttpRequest& request);
  HttpResponse get_models(const HttpRequest& request);
  HttpResponse get_model(const HttpRequest& request);
  HttpResponse get_health(const HttpRequest& request);
  HttpResponse get_ready(const HttpRequest& request);
  HttpResponse get_metrics(const HttpRequest& request);

  class Work;
  /// Throws where what the request asks for is for nobody any more: its client is gone, or the drain is over.
  std::function<void()> check_for(const HttpRequest& request) const;
  Json read_json(const HttpRequest& request) const;
  std::shared_ptr<Backend> backend_with_documents() const;
  std::shared_ptr<Generation> generate(const std::shared_ptr<Backend>& backend, Query query, const HttpRequest& request,
                                       bool with_tokens);
  HttpResponse answer_whole(Query query, const HttpRequest& request, const std::function<Json(const Answer&)>& render);
  HttpResponse answer_streamed(Query query, const HttpRequest& request,
                               std::function<std::string(const Event&)> render);
  HttpResponse complete(CompletionWire::Kind kind, CompletionRequest asked, const HttpRequest& request);
  void read_upload(const HttpRequest& request, class DocumentsUpload& upload) const;
  std::vector<std::vector<float>> embed(const Engine& engine, const std::vector<std::string>& texts,
                                        const HttpRequest& request) const;

  const RoutesOptions options_;
  Metrics& metrics_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> giving_up_{false};
  mutable std::mutex mutex_;
  std::shared_ptr<Backend> backend_;  // guarded by mutex_
  std::condition_variable work_ended_;
  std::size_t working_ = 0;  // guarded by mutex_; uploads and embeddings that run
};

}  // namespace refrag::server

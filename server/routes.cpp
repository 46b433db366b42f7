#include "server/routes.h"

#include <algorithm>
#include <ctime>
#include <utility>
#include <variant>

#include "base/message.h"
#include "engine/answer_json.h"
#include "server/assets.h"
#include "server/documents_upload.h"
#include "server/errors.h"
#include "server/sse.h"

namespace refrag::server {
namespace {

// A comment this often while nothing else is sent: proxies hang up on silence, and a dead peer shows when written to.
constexpr std::chrono::milliseconds kKeepAlive{10'000};
// A stream begins with its first event, so that an error before it still has its own status; but not later than this.
constexpr std::chrono::milliseconds kPatienceForFirstEvent{5'000};

// Between two such slices of an embeddings request we look whether anybody still waits for it.
constexpr std::size_t kTextsEmbeddedAtOnce = 32;

constexpr std::string_view kPageIsolation =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const std::vector<std::string> kJson = {"application/json"};
const std::vector<std::string> kNdjson = {"application/x-ndjson", "application/ndjson", "application/jsonl",
                                          "application/x-jsonlines"};
const std::vector<std::string> kDocumentTypes = {"application/json",  "application/x-ndjson",    "application/ndjson",
                                                 "application/jsonl", "application/x-jsonlines", "multipart/form-data"};

Error shutting_down() { return {ErrorCode::kUnavailable, "the server is shutting down"}; }

HttpResponse json_response(const Json& json, int status = 200) { return {.status = status, .body = to_text(json)}; }

std::string rest_of_path(const HttpRequest& request, std::string_view prefix) {
  return request.path.substr(prefix.size());
}

bool is_last(const Event& event) {
  return std::holds_alternative<Answer>(event) || std::holds_alternative<Error>(event);
}

/// Sends events as they come until the last one or until the client is gone. `first` was waited for before.
void send_events(Generation& generation, std::optional<Event> first,
                 const std::function<std::string(const Event&)>& render, const SendBytes& send) {
  std::optional<Event> event = std::move(first);
  for (;;) {
    if (!event) {
      if (!send(kSseKeepAlive)) return;
    } else {
      if (!send(render(*event)) || is_last(*event)) return;
    }
    try {
      event = generation.next(kKeepAlive);
    } catch (const Error& error) {
      event = Event(error);
    }
  }
}

std::string completion_event(CompletionWire& wire, const Event& event, bool include_usage) {
  if (const auto* retrieval = std::get_if<RetrievalReport>(&event)) return sse_data(wire.opening(*retrieval));
  if (const auto* token = std::get_if<TokenEvent>(&event)) return sse_data(wire.piece(*token));
  if (const auto* error = std::get_if<Error>(&event)) return sse_data({{"error", to_json(*error)}});
  const auto* answer = std::get_if<Answer>(&event);
  if (answer == nullptr) return std::string(kSseKeepAlive);  // OpenAI has no word for an expansion
  std::string text = sse_data(wire.closing(*answer));
  if (include_usage) text += sse_data(wire.usage(*answer));
  return text + std::string(kSseDone);
}

HttpResponse asset_response(const Asset& asset) {
  HttpResponse response;
  response.content_type = asset.content_type;
  response.body = asset.bytes;
  response.headers.emplace_back("Content-Security-Policy", kPageIsolation);
  // Not no-referrer: browsers may then hide the page's origin from us too, and we take its uploads for a stranger's.
  response.headers.emplace_back("Referrer-Policy", "same-origin");
  return response;
}

}  // namespace

/// A request that is not the engine's and may take long. None begins while we drain.
class Routes::Work {
 public:
  explicit Work(Routes& routes) : routes_(routes) {
    const std::lock_guard lock(routes_.mutex_);
    if (routes_.draining_) throw shutting_down();
    ++routes_.working_;
  }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  ~Work() {
    const std::lock_guard lock(routes_.mutex_);
    --routes_.working_;
    routes_.work_ended_.notify_all();  // under the lock: whoever waits may destroy us next
  }

 private:
  Routes& routes_;
};

std::vector<Route> Routes::table() {
  using Method = HttpResponse (Routes::*)(const HttpRequest&);
  const auto to = [this](Method method) {
    return [this, method](const HttpRequest& request) { return (this->*method)(request); };
  };
  std::vector<Route> routes = {
      {"POST", "/v1/query", kJson, true, to(&Routes::post_query)},
      {"POST", "/v1/search", kJson, true, to(&Routes::post_search)},
      {"POST", "/v1/documents", kDocumentTypes, true, to(&Routes::post_documents)},
      {"GET", "/v1/documents", {}, true, to(&Routes::get_documents)},
      {"GET", "/v1/documents/*", {}, true, to(&Routes::get_document)},
      {"DELETE", "/v1/documents/*", {}, true, to(&Routes::delete_document)},
      {"POST", "/v1/chat/completions", kJson, true, to(&Routes::post_chat)},
      {"POST", "/v1/completions", kJson, true, to(&Routes::post_completion)},
      {"POST", "/v1/embeddings", kJson, true, to(&Routes::post_embeddings)},
      {"GET", "/v1/models", {}, true, to(&Routes::get_models)},
      {"GET", "/v1/models/*", {}, true, to(&Routes::get_model)},
      {"GET", "/metrics", {}, true, to(&Routes::get_metrics)},
      // Probes of cluster managers carry no key; neither says more than whether it is well.
      {"GET", "/healthz", {}, false, to(&Routes::get_health)},
      {"GET", "/readyz", {}, false, to(&Routes::get_ready)},
  };
  for (const Asset& asset : assets()) {
    const bool is_page = asset.path != "/openapi.json";  // the page asks for a key itself, so it must load without
    routes.push_back(
        {"GET", std::string(asset.path), {}, !is_page, [&asset](const HttpRequest&) { return asset_response(asset); }});
  }
  return routes;
}

void Routes::set_backend(std::shared_ptr<Backend> backend) {
  const std::lock_guard lock(mutex_);
  backend_ = std::move(backend);
}

void Routes::begin_draining() {
  const std::lock_guard lock(mutex_);
  draining_ = true;
}

bool Routes::drain_until(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  return work_ended_.wait_until(lock, deadline, [this] { return working_ == 0; });
}

std::function<void()> Routes::check_for(const HttpRequest& request) const {
  return [this, gone = request.client_gone] {
    if (giving_up_) throw shutting_down();
    if (gone()) throw Error(ErrorCode::kCancelled, "the client closed the connection");
  };
}

std::shared_ptr<Backend> Routes::backend() const {
  const std::lock_guard lock(mutex_);
  if (backend_ == nullptr) throw Error(ErrorCode::kUnavailable, "the model is still being loaded");
  return backend_;
}

std::shared_ptr<Backend> Routes::backend_with_documents() const {
  std::shared_ptr<Backend> found = backend();
  if (found->knowledge_base == nullptr) {
    throw Error(ErrorCode::kNotFound, "this server has no knowledge base; start it with --kb DIR");
  }
  return found;
}

Json Routes::read_json(const HttpRequest& request) const {
  return parse_json(request.body(options_.max_body_bytes), "the body");
}

HttpResponse Routes::post_query(const HttpRequest& request) {
  QueryRequest asked = parse_query(read_json(request), options_.limits);
  if (!asked.stream) {
    return answer_whole(std::move(asked.query), request, [](const Answer& answer) { return to_json(answer); });
  }
  return answer_streamed(std::move(asked.query), request,
                         [](const Event& event) { return sse_event(name_of(event), event_data(event)); });
}

HttpResponse Routes::post_search(const HttpRequest& request) {
  const SearchQuery search = parse_search(read_json(request), options_.limits);
  const std::vector<Hit> hits = backend_with_documents()->engine.search(search);
  return json_response({{"hits", to_json(hits, /*with_chunks=*/false)}});
}

HttpResponse Routes::post_documents(const HttpRequest& request) {
  const std::shared_ptr<Backend> found = backend_with_documents();
  const Work work(*this);
  DocumentsUpload upload(*found->indexer, check_for(request));
  read_upload(request, upload);
  const std::vector<DocumentResult> results = upload.finish();
  metrics_.count_documents(results);
  return json_response(to_json(results));
}

void Routes::read_upload(const HttpRequest& request, DocumentsUpload& upload) const {
  if (request.content_type == "multipart/form-data") {
    const std::string body = request.body(options_.max_body_bytes);
    return upload_form(upload, request.header("Content-Type"), body);
  }
  if (std::find(kNdjson.begin(), kNdjson.end(), request.content_type) == kNdjson.end()) {
    for (Document& document : parse_documents(read_json(request))) upload.add(std::move(document));
    return;
  }
  NdjsonUpload lines(upload, options_.max_body_bytes);
  request.read_body(options_.max_bulk_bytes, [&](std::string_view piece) {
    upload.check();
    lines.feed(piece);
  });
  lines.finish();
}

HttpResponse Routes::get_documents(const HttpRequest& request) {
  const PageRequest page = parse_page(request);
  return json_response(to_json(backend_with_documents()->knowledge_base->list(page.after, page.limit)));
}

HttpResponse Routes::get_document(const HttpRequest& request) {
  const std::string id = rest_of_path(request, "/v1/documents/");
  const std::optional<StoredDocument> stored = backend_with_documents()->knowledge_base->get(id);
  if (!stored) throw Error(ErrorCode::kNotFound, message("no document \"", id, '"'), "id");
  return json_response(to_json(*stored));
}

HttpResponse Routes::delete_document(const HttpRequest& request) {
  const std::string id = rest_of_path(request, "/v1/documents/");
  if (backend_with_documents()->knowledge_base->remove({id}) == 0) {
    throw Error(ErrorCode::kNotFound, message("no document \"", id, '"'), "id");
  }
  return json_response({{"id", id}, {"deleted", true}});
}

HttpResponse Routes::post_chat(const HttpRequest& request) {
  const std::shared_ptr<Backend> found = backend();
  return complete(
      CompletionWire::Kind::kChat,
      parse_chat(read_json(request), found->runner->info(), found->knowledge_base != nullptr, options_.limits),
      request);
}

HttpResponse Routes::post_completion(const HttpRequest& request) {
  const std::shared_ptr<Backend> found = backend();
  return complete(
      CompletionWire::Kind::kText,
      parse_completion(read_json(request), found->runner->info(), found->knowledge_base != nullptr, options_.limits),
      request);
}

HttpResponse Routes::post_embeddings(const HttpRequest& request) {
  const std::shared_ptr<Backend> found = backend();
  const Work work(*this);
  const EmbeddingsRequest asked = parse_embeddings(read_json(request), found->runner->info(), options_.limits);
  const std::vector<std::vector<float>> vectors = embed(found->engine, asked.texts, request);
  return json_response(render_embeddings(vectors, asked, found->runner->info().name));
}

std::vector<std::vector<float>> Routes::embed(const Engine& engine, const std::vector<std::string>& texts,
                                              const HttpRequest& request) const {
  const auto deadline = std::chrono::steady_clock::now() + options_.generation.time;
  const std::function<void()> check = check_for(request);
  std::vector<std::vector<float>> vectors;
  while (vectors.size() < texts.size()) {
    check();
    if (std::chrono::steady_clock::now() >= deadline) throw Error(ErrorCode::kTimeout, "the embeddings took too long");
    const auto begin = texts.begin() + static_cast<std::ptrdiff_t>(vectors.size());
    const auto count = std::min(kTextsEmbeddedAtOnce, texts.size() - vectors.size());
    for (std::vector<float>& vector : engine.embed({begin, begin + static_cast<std::ptrdiff_t>(count)})) {
      vectors.push_back(std::move(vector));
    }
  }
  return vectors;
}

HttpResponse Routes::get_models(const HttpRequest&) {
  const std::shared_ptr<Backend> found = backend();
  const Json model = render_model(found->runner->info(), found->loaded_at);
  return json_response({{"object", "list"}, {"data", Json::array({model})}});
}

HttpResponse Routes::get_model(const HttpRequest& request) {
  const std::shared_ptr<Backend> found = backend();
  check_model(rest_of_path(request, "/v1/models/"), found->runner->info());
  return json_response(render_model(found->runner->info(), found->loaded_at));
}

HttpResponse Routes::get_health(const HttpRequest&) { return json_response({{"status", "ok"}}); }

HttpResponse Routes::get_ready(const HttpRequest&) {
  if (draining_) throw shutting_down();
  backend();
  return json_response({{"status", "ok"}});
}

HttpResponse Routes::get_metrics(const HttpRequest&) {
  std::shared_ptr<Backend> found;
  {
    const std::lock_guard lock(mutex_);
    found = backend_;
  }
  std::optional<EngineStats> engine;
  std::optional<KnowledgeBaseStats> knowledge_base;
  if (found != nullptr) engine = found->engine.stats();
  if (found != nullptr && found->knowledge_base != nullptr) knowledge_base = found->knowledge_base->stats();
  return {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics_.text(engine, knowledge_base)};
}

std::shared_ptr<Generation> Routes::generate(const std::shared_ptr<Backend>& backend, Query query,
                                             const HttpRequest& request, bool with_tokens) {
  const bool needs_documents = query.mode != Mode::kNone && !query.passages && query.retrieve.top_k > 0;
  if (needs_documents && backend->knowledge_base == nullptr) {
    throw Error(ErrorCode::kInvalidArgument,
                "passages is missing, and this server has no knowledge base (--kb) to find some in; expected passages, "
                "or mode: none",
                "passages");
  }
  if (draining_) throw shutting_down();
  query.arrived = request.arrived;
  const auto should_end = [this, gone = request.client_gone] {
    if (giving_up_) throw shutting_down();
    return gone();
  };
  // The engine must outlive its request: the deleter holds the backend.
  return {new Generation(backend->engine, std::move(query), should_end, with_tokens, options_.generation),
          [backend](Generation* generation) { delete generation; }};
}

HttpResponse Routes::answer_whole(Query query, const HttpRequest& request,
                                  const std::function<Json(const Answer&)>& render) {
  const Answer answer = generate(backend(), std::move(query), request, false)->answer();
  metrics_.count_answer(answer);
  return json_response(render(answer));
}

HttpResponse Routes::answer_streamed(Query query, const HttpRequest& request,
                                     std::function<std::string(const Event&)> render) {
  const std::shared_ptr<Generation> generation = generate(backend(), std::move(query), request, true);
  std::optional<Event> first = generation->next(kPatienceForFirstEvent);
  if (first && std::holds_alternative<Error>(*first)) throw std::get<Error>(*first);
  HttpResponse response;
  response.content_type = "text/event-stream";
  response.headers.emplace_back("Cache-Control", "no-cache");
  response.headers.emplace_back("X-Accel-Buffering", "no");  // nginx must not hold tokens back
  response.stream = [this, generation, first = std::move(first), render = std::move(render)](const SendBytes& send) {
    const auto counted = [&](const Event& event) {
      if (const auto* answer = std::get_if<Answer>(&event)) metrics_.count_answer(*answer);
      return render(event);
    };
    send_events(*generation, first, counted, send);
  };
  return response;
}

HttpResponse Routes::complete(CompletionWire::Kind kind, CompletionRequest asked, const HttpRequest& request) {
  const std::shared_ptr<Backend> found = backend();
  CompletionWire wire(kind, asked, request.id, found->runner->info().name, std::time(nullptr));
  if (!asked.stream) {
    return answer_whole(std::move(asked.query), request, [&wire](const Answer& answer) { return wire.whole(answer); });
  }
  return answer_streamed(std::move(asked.query), request,
                         [wire = std::move(wire), include_usage = asked.include_usage](const Event& event) mutable {
                           return completion_event(wire, event, include_usage);
                         });
}

}  // namespace refrag::server

#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "refrag/export.h"
#include "refrag/knowledge_base.h"
#include "refrag/query.h"

namespace refrag {

class ModelBundle;
class ModelRunner;

using RequestId = std::uint64_t;

struct EngineConfig {
  std::size_t max_queue = 64;             // requests that wait; one more is refused with kQueueFull
  std::size_t max_running = 8;            // sequences decoded side by side
  std::uint64_t kv_cache_bytes = 0;       // for all sequences together; 0: a quarter of the machine's memory
  std::size_t max_step_positions = 2048;  // computed in one step; longer prompts take several, others' tokens between
  std::size_t max_context = 0;            // positions a sequence, prompt and answer; 0: what the model allows
  std::size_t max_tokens_limit = 4096;    // upper bound of Query::max_tokens
  std::size_t max_event_backlog = 1024;   // events a stream() keeps for a slow reader before the request is cancelled
};

struct EngineStats {
  std::size_t waiting = 0;
  std::size_t running = 0;
  std::uint64_t requests = 0;  // since the start, those that failed included
  std::uint64_t failed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t prompt_positions = 0;
  std::uint64_t prompt_tokens = 0;  // what prompt_positions would be without compression
  std::uint64_t completion_tokens = 0;
  std::uint64_t chunks = 0;
  std::uint64_t expanded_chunks = 0;
  std::uint64_t encoded_chunks = 0;
  std::uint64_t kv_cache_bytes_used = 0;
  std::uint64_t kv_cache_bytes_limit = 0;
  std::optional<double> latency_model_error;  // largest relative error of the fit behind ttft_ms, once it was asked for
};

struct SearchQuery {
  std::string query;
  RetrieveOptions retrieve;
};

/// The events of one answer, in order. Ends after Answer or Error. Destroying it early cancels the request.
class REFRAG_EXPORT AnswerStream {
 public:
  AnswerStream(AnswerStream&&) noexcept;
  AnswerStream& operator=(AnswerStream&&) noexcept;
  ~AnswerStream();
  std::optional<Event> next();  // waits; nothing after the last event
  void cancel();

  struct Sentinel {};
  class Iterator {
   public:
    explicit Iterator(AnswerStream* stream) : stream_(stream), event_(stream->next()) {}
    const Event& operator*() const { return *event_; }
    Iterator& operator++() {
      event_ = stream_->next();
      return *this;
    }
    bool operator==(Sentinel) const { return !event_.has_value(); }

   private:
    AnswerStream* stream_;
    std::optional<Event> event_;
  };
  Iterator begin() { return Iterator(this); }
  Sentinel end() const { return {}; }

  class Impl;
  explicit AnswerStream(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

/// Answers questions over a KnowledgeBase with a ModelBundle. Start here.
/// Thread-safe: any thread may call any method. Methods throw only refrag::Error.
class REFRAG_EXPORT Engine {
 public:
  /// `knowledge_base` may be null: then passages come with each query. Throws nothing about identities: a mismatch
  /// is told by the query that would need what differs.
  Engine(std::shared_ptr<const ModelBundle> bundle, std::shared_ptr<KnowledgeBase> knowledge_base,
         EngineConfig config = {});
  /// The same over any implementation of the model's operations (src/engine/model_runner.h).
  Engine(std::shared_ptr<ModelRunner> runner, std::shared_ptr<KnowledgeBase> knowledge_base, EngineConfig config = {});
  ~Engine();  // refuses new work, cancels what runs, joins its threads

  Answer ask(const Query& query);  // blocks until whole; throws kQueueFull at once when full
  AnswerStream stream(Query query);
  /// Returns once queued. `on_event` runs on the engine's threads: copy and return quickly.
  RequestId submit(Query query, std::function<void(const Event&)> on_event);
  void cancel(RequestId id);  // idempotent; the last event is then an Answer that says kCancelled

  /// Retrieval alone, best first. Runs on the caller's thread.
  std::vector<Hit> search(const SearchQuery& query) const;
  /// Passage vectors of texts as dense retrieval makes them, [texts, passage width]. Runs on the caller's thread.
  std::vector<std::vector<float>> embed(const std::vector<std::string>& texts) const;

  /// Takes no new requests (kUnavailable) and returns when all have ended, or false after `timeout_ms`.
  bool drain(std::size_t timeout_ms);
  EngineStats stats() const;  // a snapshot; never waits for the model
  const std::string& model_name() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;  // libtorch, FAISS and SQLite live behind this pointer
};

}  // namespace refrag

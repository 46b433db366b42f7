#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>

#include "refrag/engine.h"
#include "server/event_queue.h"

namespace refrag::server {

struct GenerationLimits {
  std::chrono::milliseconds time{300'000};  // from the request to its last token
  std::size_t event_backlog = 1024;         // events kept for a slow reader
};

/// One question at the engine, followed from its client's connection: ends early where the client leaves, where the
/// time is up, or where the client reads too slowly. Used by one thread.
class Generation {
 public:
  /// Throws what Engine::submit throws (kQueueFull, kUnavailable, kInvalidArgument). `with_tokens` false: only the last
  /// event is kept, for answers that are sent whole.
  Generation(Engine& engine, Query query, std::function<bool()> client_gone, bool with_tokens, GenerationLimits limits);
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;
  ~Generation();  // cancels what has not ended

  /// The next event; nothing where none came within `wait`. Throws kCancelled (the client left or read too slowly) and
  /// kTimeout; an Error of the engine comes as an event.
  std::optional<Event> next(std::chrono::milliseconds wait);
  Answer answer();  // waits for the whole answer; throws the engine's error too

 private:
  void check_client() const;

  Engine& engine_;
  std::function<bool()> client_gone_;
  GenerationLimits limits_;
  std::chrono::steady_clock::time_point deadline_;
  std::shared_ptr<EventQueue> events_;  // shared with the engine, which may outlive us by one event
  RequestId id_ = 0;
  bool ended_ = false;
};

}  // namespace refrag::server

#pragma once
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>

#include "refrag/query.h"

namespace refrag::server {

/// From the engine's thread, which never waits here, to one connection's thread, which does. Bounded: a client that
/// reads too slowly loses its request, not the server its memory.
class EventQueue {
 public:
  explicit EventQueue(std::size_t capacity) : capacity_(capacity) {}
  /// False where it is full: the event is lost. The last event of a request (Answer or Error) always finds room.
  bool push(Event event);
  /// The next event; nothing where none came within `wait`.
  std::optional<Event> pop_for(std::chrono::milliseconds wait);
  bool overflowed() const;  // an event was thrown away

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Event> events_;  // guarded by mutex_
  bool overflowed_ = false;   // guarded by mutex_
};

}  // namespace refrag::server

#pragma once
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "refrag/engine.h"

namespace refrag {

/// Set by any thread, read by the engine's: the request is to end.
using CancelFlag = std::shared_ptr<std::atomic<bool>>;

/// The events between the engine and a reader, bounded: a reader that falls behind by more than `limit` cancels its
/// request and gets no more tokens, only the last event.
class EventBacklog {
 public:
  EventBacklog(std::size_t limit, CancelFlag cancelled) : limit_(limit), cancelled_(std::move(cancelled)) {}
  void push(const Event& event);  // never waits
  std::optional<Event> next();    // waits; nothing after the last event
  void cancel() { *cancelled_ = true; }

 private:
  std::size_t limit_;
  CancelFlag cancelled_;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<Event> events_;  // guarded by mutex_
  bool overflowed_ = false;   // guarded by mutex_
  bool ended_ = false;        // guarded by mutex_; the last event was handed out
};

class AnswerStream::Impl {
 public:
  explicit Impl(std::shared_ptr<EventBacklog> backlog) : backlog(std::move(backlog)) {}
  std::shared_ptr<EventBacklog> backlog;
};

}  // namespace refrag

#include "server/event_queue.h"

#include <utility>
#include <variant>

namespace refrag::server {

bool EventQueue::push(Event event) {
  const bool is_last = std::holds_alternative<Answer>(event) || std::holds_alternative<Error>(event);
  const std::lock_guard lock(mutex_);
  if (events_.size() >= capacity_ && !is_last) {
    overflowed_ = true;
    return false;
  }
  events_.push_back(std::move(event));
  arrived_.notify_one();
  return true;
}

std::optional<Event> EventQueue::pop_for(std::chrono::milliseconds wait) {
  std::unique_lock lock(mutex_);
  if (!arrived_.wait_for(lock, wait, [this] { return !events_.empty(); })) return std::nullopt;
  std::optional<Event> event(std::move(events_.front()));
  events_.pop_front();
  return event;
}

bool EventQueue::overflowed() const {
  const std::lock_guard lock(mutex_);
  return overflowed_;
}

}  // namespace refrag::server

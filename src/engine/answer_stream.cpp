#include "engine/answer_stream.h"

#include <utility>
#include <variant>

namespace refrag {
namespace {

bool is_last(const Event& event) {
  return std::holds_alternative<Answer>(event) || std::holds_alternative<Error>(event);
}

}  // namespace

void EventBacklog::push(const Event& event) {
  const std::lock_guard lock(mutex_);
  if (!is_last(event)) {
    if (overflowed_ || events_.size() >= limit_) {
      overflowed_ = true;
      *cancelled_ = true;
      return;
    }
  }
  events_.push_back(event);
  arrived_.notify_one();
}

std::optional<Event> EventBacklog::next() {
  std::unique_lock lock(mutex_);
  if (ended_) return std::nullopt;
  arrived_.wait(lock, [this] { return !events_.empty(); });
  Event event = std::move(events_.front());
  events_.pop_front();
  ended_ = is_last(event);
  return event;
}

AnswerStream::AnswerStream(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AnswerStream::AnswerStream(AnswerStream&&) noexcept = default;
AnswerStream& AnswerStream::operator=(AnswerStream&& other) noexcept {
  if (this != &other) {
    if (impl_ != nullptr) impl_->backlog->cancel();
    impl_ = std::move(other.impl_);
  }
  return *this;
}
AnswerStream::~AnswerStream() {
  if (impl_ != nullptr) impl_->backlog->cancel();
}

std::optional<Event> AnswerStream::next() {
  if (impl_ == nullptr) return std::nullopt;  // moved from
  return impl_->backlog->next();
}

void AnswerStream::cancel() {
  if (impl_ != nullptr) impl_->backlog->cancel();
}

}  // namespace refrag

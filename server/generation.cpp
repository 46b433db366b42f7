#include "server/generation.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "base/message.h"

namespace refrag::server {
namespace {

// How long a client's leaving may go unnoticed while no event comes.
constexpr std::chrono::milliseconds kLook{50};

Error too_slow() { return {ErrorCode::kCancelled, "the client reads the answer too slowly"}; }

}  // namespace

Generation::Generation(Engine& engine, Query query, std::function<bool()> client_gone, bool with_tokens,
                       GenerationLimits limits)
    : engine_(engine),
      client_gone_(std::move(client_gone)),
      limits_(limits),
      deadline_(std::chrono::steady_clock::now() + limits.time),
      events_(std::make_shared<EventQueue>(limits.event_backlog)) {
  id_ = engine_.submit(std::move(query), [events = events_, with_tokens](const Event& event) {
    const bool is_wanted = with_tokens || std::holds_alternative<Answer>(event) || std::holds_alternative<Error>(event);
    if (is_wanted && !events->push(event)) throw too_slow();  // the engine then cancels the request
  });
}

Generation::~Generation() {
  if (!ended_) engine_.cancel(id_);
}

std::optional<Event> Generation::next(std::chrono::milliseconds wait) {
  const auto until = std::chrono::steady_clock::now() + wait;
  for (;;) {
    check_client();
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    std::optional<Event> event = events_->pop_for(std::clamp(left, std::chrono::milliseconds(0), kLook));
    if (event) {
      ended_ = std::holds_alternative<Answer>(*event) || std::holds_alternative<Error>(*event);
      return event;
    }
    if (left <= kLook) return std::nullopt;
  }
}

Answer Generation::answer() {
  for (;;) {
    std::optional<Event> event = next(kLook);
    if (!event) continue;
    if (const auto* error = std::get_if<Error>(&*event)) throw *error;
    if (auto* answer = std::get_if<Answer>(&*event)) return std::move(*answer);
  }
}

void Generation::check_client() const {
  if (client_gone_()) throw Error(ErrorCode::kCancelled, "the client closed the connection");
  if (events_->overflowed()) throw too_slow();
  if (std::chrono::steady_clock::now() >= deadline_) {
    throw Error(ErrorCode::kTimeout, message("the answer took longer than ", limits_.time.count() / 1000.0, " s"));
  }
}

}  // namespace refrag::server

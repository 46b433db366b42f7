#include <future>
#include <utility>
#include <variant>

#include "base/message.h"
#include "engine/engine_impl.h"
#include "refrag/error.h"

namespace refrag {
namespace {

CancelFlag new_flag() { return std::make_shared<std::atomic<bool>>(false); }

}  // namespace

// The constructor that takes a bundle stands with BundleRunner, in the part that knows libtorch.
Engine::Engine(std::shared_ptr<ModelRunner> runner, std::shared_ptr<KnowledgeBase> knowledge_base, EngineConfig config)
    : impl_(std::make_unique<Impl>(std::move(runner), std::move(knowledge_base), config)) {}

Engine::~Engine() = default;

Answer Engine::ask(const Query& query) {
  const auto last =
      std::make_shared<std::promise<Event>>();  // the engine's thread may still be in set_value at the end
  std::future<Event> result = last->get_future();
  submit(query, [last](const Event& event) {
    if (std::holds_alternative<Answer>(event) || std::holds_alternative<Error>(event)) last->set_value(event);
  });
  Event event = result.get();
  if (const Error* error = std::get_if<Error>(&event)) throw Error(*error);
  return std::get<Answer>(std::move(event));
}

AnswerStream Engine::stream(Query query) {
  const CancelFlag cancelled = new_flag();
  auto backlog = std::make_shared<EventBacklog>(impl_->config().max_event_backlog, cancelled);
  impl_->submit(
      std::move(query), [backlog](const Event& event) { backlog->push(event); }, cancelled);
  return AnswerStream(std::make_unique<AnswerStream::Impl>(std::move(backlog)));
}

RequestId Engine::submit(Query query, std::function<void(const Event&)> on_event) {
  return impl_->submit(std::move(query), std::move(on_event), new_flag());
}

void Engine::cancel(RequestId id) { impl_->cancel(id); }

std::vector<Hit> Engine::search(const SearchQuery& query) const {
  return impl_->context_source().search(query.query, query.retrieve);
}

std::vector<std::vector<float>> Engine::embed(const std::vector<std::string>& texts) const {
  const ModelInfo& model = impl_->runner().info();
  if (model.passage_width == 0) {
    throw Error(ErrorCode::kUnsupported, message("model ", model.name, " has no encoder for passages"));
  }
  if (texts.empty()) return {};
  const Matrix vectors = impl_->runner().embed_passages(texts);
  std::vector<std::vector<float>> rows;
  for (std::size_t n = 0; n < vectors.rows; ++n) rows.emplace_back(vectors.row(n).begin(), vectors.row(n).end());
  return rows;
}

bool Engine::drain(std::size_t timeout_ms) { return impl_->drain(timeout_ms); }
EngineStats Engine::stats() const { return impl_->stats(); }
const std::string& Engine::model_name() const { return impl_->runner().info().name; }

}  // namespace refrag

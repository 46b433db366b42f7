#include "server/backend.h"

#include <ctime>
#include <utility>

namespace refrag::server {

Backend::Backend(std::shared_ptr<ModelRunner> model_runner, std::shared_ptr<KnowledgeBase> base,
                 const EngineConfig& config)
    : runner(std::move(model_runner)),
      knowledge_base(std::move(base)),
      loaded_at(std::time(nullptr)),
      engine(runner, knowledge_base, config) {
  if (knowledge_base == nullptr) return;
  indexer =
      std::make_unique<Indexer>(runner, knowledge_base, IndexOptions{.passage_tokens = runner->info().passage_tokens});
}

}  // namespace refrag::server

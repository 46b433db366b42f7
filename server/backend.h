#pragma once
#include <cstdint>
#include <memory>

#include "engine/model_runner.h"
#include "refrag/engine.h"
#include "refrag/indexer.h"
#include "refrag/knowledge_base.h"

namespace refrag::server {

/// What answers: there once the model is loaded. `knowledge_base` and `indexer` are null without --kb.
struct Backend {
  Backend(std::shared_ptr<ModelRunner> model_runner, std::shared_ptr<KnowledgeBase> base, const EngineConfig& config);

  std::shared_ptr<ModelRunner> runner;
  std::shared_ptr<KnowledgeBase> knowledge_base;
  std::int64_t loaded_at;  // seconds since 1970
  Engine engine;
  std::unique_ptr<Indexer> indexer;
};

}  // namespace refrag::server

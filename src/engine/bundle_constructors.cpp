// The constructors that take a bundle: the only place where Engine and Indexer meet libtorch.
#include "engine/bundle_runner.h"
#include "refrag/engine.h"
#include "refrag/error.h"
#include "refrag/indexer.h"

namespace refrag {
namespace {

std::shared_ptr<ModelRunner> runner_for(std::shared_ptr<const ModelBundle> bundle) {
  if (bundle == nullptr) {
    throw Error(ErrorCode::kInvalidArgument, "bundle is null; expected a loaded model", "bundle");
  }
  return std::make_shared<BundleRunner>(std::move(bundle));
}

}  // namespace

Engine::Engine(std::shared_ptr<const ModelBundle> bundle, std::shared_ptr<KnowledgeBase> knowledge_base,
               EngineConfig config)
    : Engine(runner_for(std::move(bundle)), std::move(knowledge_base), config) {}

Indexer::Indexer(std::shared_ptr<const ModelBundle> bundle, std::shared_ptr<KnowledgeBase> knowledge_base,
                 IndexOptions options)
    : Indexer(runner_for(std::move(bundle)), std::move(knowledge_base), options) {}

}  // namespace refrag

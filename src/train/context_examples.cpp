#include "train/context_examples.h"

#include <algorithm>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag::train {

MixedBatch reconstruction(std::span<const std::vector<TokenId>> chunks, TokenId start) {
  MixedBatch batch;
  if (chunks.empty()) return batch;
  batch.begin_sequence();
  batch.add_token(start);
  for (const std::vector<TokenId>& chunk : chunks) batch.add_chunk_vector(chunk);
  batch.add_token(start);
  for (const std::vector<TokenId>& chunk : chunks) batch.add_targets(chunk);
  return batch;
}

ContextExamples::ContextExamples(const TrainConfig& config, const TrainModel& model, const OnPrepared& on_prepared)
    : config_(config),
      model_(model),
      curriculum_(config.context.max_chunks, config.context.even_pace),
      data_(config.data, *model.parts().tokenizer, on_prepared) {
  if (!model.has_encoder()) {
    throw Error(ErrorCode::kUnsupported, message("the stage ", name_of(config.stage),
                                                 " needs an encoder and a projector (start.encoder makes them)"));
  }
}

Json ContextExamples::describe(double progress) const {
  if (!config_.context.curriculum) return Json::object();
  return {{"curriculum_stage", curriculum_.stage_at(progress) + 1}};
}

MixedBatch ContextExamples::example(std::uint64_t n, double progress) const {
  Draw draw({config_.run.seed, n});
  if (config_.stage == Stage::kReconstruct) return reconstruction_of(n, draw_size(progress, draw), draw);
  return continuation_of(n, progress, draw);
}

std::size_t ContextExamples::draw_size(double progress, Draw& draw) const {
  const ContextConfig& context = config_.context;
  return static_cast<std::size_t>(context.curriculum ? curriculum_.draw_size(progress, draw) : context.max_chunks);
}

MixedBatch ContextExamples::reconstruction_of(std::uint64_t n, std::size_t count, Draw& draw) const {
  const std::uint64_t document = data_.shuffled_document(n, config_.run.seed);
  const std::vector<TokenId> ids = data_.window(document, count * model_.chunk_size(), draw);
  return reconstruction(chunks_of(ids, model_.chunk_size()), start_token(model_));
}

MixedBatch ContextExamples::continuation_of(std::uint64_t n, double progress, Draw& draw) const {
  const std::uint64_t document = data_.shuffled_document(n, config_.run.seed);
  std::size_t context = draw_size(progress, draw) * model_.chunk_size();
  const auto target = static_cast<std::size_t>(config_.context.target);
  std::vector<TokenId> ids = data_.window(document, context + target, draw);
  if (ids.size() < context + target) {  // a short document: at least half of it is context
    const std::size_t predicted = std::min(target, ids.size() / 2);
    context = (ids.size() - predicted) / model_.chunk_size() * model_.chunk_size();
  }
  MixedBatch batch;
  if (context == 0 || ids.size() == context) return batch;
  const double kind = draw.unit();
  const bool none = kind < config_.context.none;
  const bool full = !none && kind < config_.context.none + config_.context.full;
  const std::span<const TokenId> all(ids);
  batch.begin_sequence();
  batch.add_token(start_token(model_));
  if (!none) {
    for (std::vector<TokenId>& chunk : chunks_of(all.first(context), model_.chunk_size())) {
      if (full || draw.chance(config_.context.expand)) {
        batch.add_tokens(chunk);
      } else {
        batch.add_chunk_vector(std::move(chunk));
      }
    }
  }
  batch.add_targets(all.subspan(context, std::min(target, ids.size() - context)));
  return batch;
}

}  // namespace refrag::train

// pretrain, reconstruct and cpt: examples cut from running text.
#include <algorithm>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"
#include "train/curriculum.h"
#include "train/task.h"

namespace refrag::train {
namespace {

/// Next-token prediction over documents, packed: a pass holds pieces of documents up to batch.tokens, none of which
/// sees another one (block-diagonal attention), each with positions of its own.
class PretrainExamples : public ExampleSource {
 public:
  PretrainExamples(const TrainConfig& config, const TrainModel& model, const OnPrepared& on_prepared)
      : config_(config), model_(model), data_(config.data, *model.parts().tokenizer, on_prepared) {
    if (config.data.join) {
      throw Error(ErrorCode::kInvalidArgument, "data.join is not for pretrain, which packs documents as they are",
                  "data.join");
    }
    longest_ = static_cast<std::size_t>(std::min(config.pretrain_context, model.decoder().config().max_positions)) - 1;
    std::uint64_t pieces = 0;
    for (std::uint64_t n = 0; n < data_.documents(); ++n) {
      pieces += (data_.document(n).size() + longest_) / longest_;  // with EOS behind it
      ends_.push_back(pieces);
    }
  }

  MixedBatch example(std::uint64_t n, double) const override {
    Draw draw({config_.run.seed, n});
    if (draw.chance(config_.pretrain_repeats)) {
      return repetition(draw);
    }
    const std::uint64_t pieces = ends_.back();
    const std::uint64_t piece = shuffled(n % pieces, pieces, Draw({config_.run.seed, n / pieces}).next());
    const auto found = std::upper_bound(ends_.begin(), ends_.end(), piece);
    const auto document = static_cast<std::uint64_t>(found - ends_.begin());
    const std::uint64_t before = document == 0 ? 0 : ends_[document - 1];
    const std::span<const TokenId> ids = data_.document(document);
    const std::size_t begin = (piece - before) * longest_;
    const std::size_t count = std::min(longest_, ids.size() - begin);
    MixedBatch batch;
    batch.begin_sequence();
    batch.add_token(start_token(model_));
    batch.add_targets(ids.subspan(begin, count));
    if (count < longest_) batch.add_target(model_.eos());
    return batch;
  }

 private:
  /// A string of random tokens, then parts of it, said again: what comes next can be known from what stood there before
  /// alone. Small models learn to copy from it early. Only what is foreseeable counts.
  MixedBatch repetition(Draw& draw) const {
    std::vector<TokenId> said;
    while (said.size() < kShortestString + draw.below(kLongestString - kShortestString)) {
      const std::span<const TokenId> ids = data_.document(draw.below(data_.documents()));  // tokens that are in use
      said.push_back(ids[draw.below(ids.size())]);
    }
    MixedBatch batch;
    batch.begin_sequence();
    batch.add_token(start_token(model_));
    batch.add_tokens(said);
    const std::size_t length = std::min(longest_, 4 * kLongestString);
    while (batch.positions() < length) {
      const std::size_t begin = draw.chance(0.3) ? 0 : draw.below(said.size() - 3);
      const std::size_t count =
          std::min({said.size() - begin, 4 + draw.below(said.size()), length - batch.positions()});
      const std::span<const TokenId> part = std::span<const TokenId>(said).subspan(begin, count);
      batch.add_tokens(part.first(std::min<std::size_t>(2, count)));  // where it goes on cannot be known yet
      batch.add_targets(part.subspan(std::min<std::size_t>(2, count)));
    }
    return batch;
  }

  static constexpr std::size_t kShortestString = 6;
  static constexpr std::size_t kLongestString = 40;

  const TrainConfig& config_;
  const TrainModel& model_;
  TextData data_;
  std::size_t longest_ = 0;          // tokens of a piece, BOS apart
  std::vector<std::uint64_t> ends_;  // by document: pieces up to its end
};

/// reconstruct: the decoder writes the chunks back. cpt: it goes on behind them.
class ContextExamples : public ExampleSource {
 public:
  ContextExamples(const TrainConfig& config, const TrainModel& model, const OnPrepared& on_prepared)
      : config_(config),
        model_(model),
        curriculum_(config.context.max_chunks, config.context.even_pace),
        data_(config.data, *model.parts().tokenizer, on_prepared) {
    if (!model.has_encoder()) {
      throw Error(ErrorCode::kUnsupported, message("the stage ", name_of(config.stage),
                                                   " needs an encoder and a projector (start.encoder makes them)"));
    }
  }

  Json describe(double progress) const override {
    if (!config_.context.curriculum) return Json::object();
    return {{"curriculum_stage", curriculum_.stage_at(progress) + 1}};
  }

  MixedBatch example(std::uint64_t n, double progress) const override {
    Draw draw({config_.run.seed, n});
    const std::uint64_t document = data_.shuffled_document(n, config_.run.seed);
    const std::int64_t size =
        config_.context.curriculum ? curriculum_.draw_size(progress, draw) : config_.context.max_chunks;
    const std::size_t context = static_cast<std::size_t>(size) * model_.chunk_size();
    return config_.stage == Stage::kReconstruct ? reconstruction(data_.window(document, context, draw))
                                                : continuation(document, context, draw);
  }

 private:
  /// BOS, the chunks' vectors, BOS again (which says: from the beginning), their tokens.
  MixedBatch reconstruction(const std::vector<TokenId>& ids) const {
    MixedBatch batch;
    batch.begin_sequence();
    batch.add_token(start_token(model_));
    add_chunks(batch, ids, [](std::size_t) { return false; });
    batch.add_token(start_token(model_));
    batch.add_targets(ids);
    return batch;
  }

  /// BOS, the context's entries, the tokens that follow: as `refrag eval lm` lays it out.
  MixedBatch continuation(std::uint64_t document, std::size_t context, Draw& draw) const {
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
      add_chunks(batch, all.first(context), [&](std::size_t) { return full || draw.chance(config_.context.expand); });
    }
    batch.add_targets(all.subspan(context, std::min(target, ids.size() - context)));
    return batch;
  }

  template <typename IsExpanded>
  void add_chunks(MixedBatch& batch, std::span<const TokenId> ids, const IsExpanded& is_expanded) const {
    const std::size_t k = model_.chunk_size();
    for (std::size_t begin = 0; begin < ids.size(); begin += k) {
      const std::span<const TokenId> chunk = ids.subspan(begin, std::min(k, ids.size() - begin));
      if (is_expanded(begin / k)) {
        batch.add_tokens(chunk);
      } else {
        batch.add_chunk_vector({chunk.begin(), chunk.end()});
      }
    }
  }

  const TrainConfig& config_;
  const TrainModel& model_;
  Curriculum curriculum_;
  TextData data_;
};

}  // namespace

std::unique_ptr<Task> make_text_task(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
                                     const OnPrepared& on_prepared) {
  std::unique_ptr<const ExampleSource> source;
  if (config.stage == Stage::kPretrain) {
    source = std::make_unique<PretrainExamples>(config, model, on_prepared);
  } else {
    source = std::make_unique<ContextExamples>(config, model, on_prepared);
  }
  return std::make_unique<ExampleTask>(config, model, group, std::move(source));
}

}  // namespace refrag::train

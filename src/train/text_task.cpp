// The text stages: pretrain's examples are here, those of reconstruct and cpt in context_examples.
#include <algorithm>
#include <utility>

#include "refrag/error.h"
#include "train/context_examples.h"
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

#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "train/config.h"
#include "train/curriculum.h"
#include "train/draw.h"
#include "train/mixed_batch.h"
#include "train/task.h"
#include "train/text_data.h"
#include "train/train_model.h"

namespace refrag::train {

/// The decoder writes chunks back: BOS, their vectors, BOS again (which says: from the beginning), their tokens.
MixedBatch reconstruction(std::span<const std::vector<TokenId>> chunks, TokenId start);

/// Examples cut from running text: all that `reconstruct` and `cpt` learn from, and `sft` beside its questions.
class ContextExamples : public ExampleSource {
 public:
  ContextExamples(const TrainConfig& config, const TrainModel& model, const OnPrepared& on_prepared);

  MixedBatch example(std::uint64_t n, double progress) const override;  // the stage's
  Json describe(double progress) const override;

  /// `count` chunks of text `n`, fewer where it is short, to be written back.
  MixedBatch reconstruction_of(std::uint64_t n, std::size_t count, Draw& draw) const;
  /// BOS, the context's entries, the tokens that follow: as `refrag eval lm` lays it out.
  MixedBatch continuation_of(std::uint64_t n, double progress, Draw& draw) const;

 private:
  std::size_t draw_size(double progress, Draw& draw) const;

  const TrainConfig& config_;
  const TrainModel& model_;
  Curriculum curriculum_;
  TextData data_;
};

}  // namespace refrag::train

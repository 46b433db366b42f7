#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/json_reader.h"
#include "train/config.h"
#include "train/mixed_batch.h"
#include "train/text_data.h"
#include "train/train_model.h"

namespace refrag::train {

/// What one stage does in a step. All that it draws follows from the config's seed and its place in the data, so that a
/// run that goes on from a checkpoint repeats what it would have done.
class Task {
 public:
  virtual ~Task() = default;
  /// Draws the data of a step (from 0).
  virtual void begin(std::uint64_t step) = 0;
  virtual std::int64_t updates() const { return 1; }  // of the weights, a step
  /// Adds the gradients of one update to the weights' and returns its loss.
  virtual double compute_gradients(std::int64_t update) = 0;
  virtual std::uint64_t tokens() const = 0;                 // decoder positions and encoded tokens of the step
  virtual Json describe() const { return Json::object(); }  // more for the log
  virtual std::optional<Json> evaluate(std::uint64_t) { return std::nullopt; }  // before a step, where it is due
  virtual std::uint64_t position() const = 0;                                   // in the data
  virtual void go_to(std::uint64_t position) = 0;
  virtual bool has_log_loss() const { return true; }  // in nats a token: may be judged as diverging
};

/// Throws kUnsupported or kInvalidArgument where the model or the data do not allow what the config asks for.
std::unique_ptr<Task> make_task(const TrainConfig& config, const TrainModel& model, const OnPrepared& on_prepared);

/// A task whose steps are forward passes over examples, as many as fit in batch.tokens.
class ExampleTask : public Task {
 public:
  ExampleTask(const TrainConfig& config, const TrainModel& model) : config_(config), model_(model) {}

  void begin(std::uint64_t step) override;
  double compute_gradients(std::int64_t update) override;
  std::uint64_t tokens() const override;
  Json describe() const override;
  std::uint64_t position() const override { return next_; }
  void go_to(std::uint64_t position) override { next_ = position; }

 protected:
  /// Example `n` of the endless sequence of them, when `progress` of the run (0 to 1) is done. Without targets: there
  /// is nothing to learn from it, and the next one comes instead.
  virtual MixedBatch example(std::uint64_t n, double progress) const = 0;

  const TrainConfig& config_;
  const TrainModel& model_;

 private:
  MixedBatch next_batch(double progress);

  std::uint64_t next_ = 0;
  std::uint64_t first_ = 0;
  std::vector<MixedBatch> passes_;
};

/// The token that every sequence begins with: BOS, or EOS where there is none.
TokenId start_token(const TrainModel& model);

std::unique_ptr<Task> make_text_task(const TrainConfig& config, const TrainModel& model, const OnPrepared& on_prepared);
std::unique_ptr<Task> make_question_task(const TrainConfig& config, const TrainModel& model,
                                         const OnPrepared& on_prepared);
std::unique_ptr<Task> make_retriever_task(const TrainConfig& config, const TrainModel& model,
                                          const OnPrepared& on_prepared);
std::unique_ptr<Task> make_policy_task(const TrainConfig& config, const TrainModel& model,
                                       const OnPrepared& on_prepared);

}  // namespace refrag::train

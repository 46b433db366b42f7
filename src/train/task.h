#pragma once
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/json_reader.h"
#include "train/config.h"
#include "train/mixed_batch.h"
#include "train/process_group.h"
#include "train/text_data.h"
#include "train/train_model.h"

namespace refrag::train {

/// What one stage does in a step, divided among the processes of a group: each draws the same and computes its share,
/// and all call the same functions in the same order. All that it draws follows from the config's seed and its place in
/// the data, so that a run that goes on from a checkpoint repeats what it would have done.
class Task {
 public:
  virtual ~Task() = default;
  /// Draws the data of a step (from 0).
  virtual void begin(std::uint64_t step) = 0;
  virtual std::int64_t updates() const { return 1; }  // of the weights, a step
  /// Adds the gradients of one update to the weights' and returns its loss. Both are this process's share: the whole
  /// is their sum over the processes.
  virtual double compute_gradients(std::int64_t update) = 0;
  virtual std::uint64_t tokens() const = 0;  // decoder positions and encoded tokens: this process's share
  virtual Json describe() const { return Json::object(); }                      // more for the log, of the whole step
  virtual std::optional<Json> evaluate(std::uint64_t) { return std::nullopt; }  // before a step, where it is due
  virtual std::uint64_t position() const = 0;                                   // in the data
  virtual void go_to(std::uint64_t position) = 0;
  virtual bool has_log_loss() const { return true; }  // in nats a token: may be judged as diverging
};

/// Throws kUnsupported or kInvalidArgument where the model or the data do not allow what the config asks for.
std::unique_ptr<Task> make_task(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
                                const OnPrepared& on_prepared);

/// The endless sequence of examples that a stage learns from. Asked by several threads.
class ExampleSource {
 public:
  virtual ~ExampleSource() = default;
  /// Example `n`, when `progress` of the run (0 to 1) is done. Without targets: there is nothing to learn from it, and
  /// the next one comes instead.
  virtual MixedBatch example(std::uint64_t n, double progress) const = 0;
  virtual Json describe(double) const { return Json::object(); }  // more for the log, by progress
};

/// A task whose steps are forward passes over examples, as many as fit in batch.tokens. While a step is computed, a
/// thread of its own draws the next one's.
class ExampleTask : public Task {
 public:
  ExampleTask(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
              std::unique_ptr<const ExampleSource> source)
      : config_(config), model_(model), group_(group), source_(std::move(source)) {}

  void begin(std::uint64_t step) override;
  double compute_gradients(std::int64_t update) override;
  std::uint64_t tokens() const override;
  Json describe() const override;
  std::uint64_t position() const override { return next_; }
  void go_to(std::uint64_t position) override;

 private:
  struct Drawn {
    std::vector<MixedBatch> passes;  // this process's share
    std::size_t chunks = 0;          // of all processes
    std::size_t targets = 0;         // of all processes
    std::uint64_t end = 0;           // the place in the data behind it
  };
  double progress(std::uint64_t step) const;
  Drawn draw(std::uint64_t step, std::uint64_t first) const;
  void draw_pass(std::vector<MixedBatch>& examples, std::uint64_t& next, double progress) const;
  void add_to_passes(std::vector<MixedBatch>& passes, const MixedBatch& one) const;

  const TrainConfig& config_;
  const TrainModel& model_;
  const ProcessGroup& group_;
  std::unique_ptr<const ExampleSource> source_;
  std::uint64_t step_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t first_ = 0;
  Drawn drawn_;
  std::future<Drawn> ahead_;  // the next step's. Last: it ends before what it reads does
};

/// The token that every sequence begins with: BOS, or EOS where there is none.
TokenId start_token(const TrainModel& model);

std::unique_ptr<Task> make_text_task(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
                                     const OnPrepared& on_prepared);
std::unique_ptr<Task> make_question_task(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
                                         const OnPrepared& on_prepared);
std::unique_ptr<Task> make_retriever_task(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
                                          const OnPrepared& on_prepared);
std::unique_ptr<Task> make_policy_task(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
                                       const OnPrepared& on_prepared);

}  // namespace refrag::train

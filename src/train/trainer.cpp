#include "train/trainer.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <optional>
#include <span>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/fail_point.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/message.h"
#include "refrag/error.h"
#include "train/checkpoint_file.h"
#include "train/exchange.h"
#include "train/schedule.h"
#include "train/start_bundle.h"
#include "train/task.h"
#include "train/train_log.h"
#include "train/train_model.h"

namespace refrag::train {
namespace {

namespace fs = std::filesystem;

/// What a checkpoint belongs to: everything in the config that changes what is computed.
std::string digest_of(const TrainConfig& config) {
  Json json = config.json;
  json.erase("out");
  json.erase("comment");
  json.erase("save");
  if (json.contains("data")) json["data"].erase("cache");
  if (json.contains("run")) {
    for (const char* name : {"checkpoint_every", "log_every", "divergence", "recompute", "threads", "device"}) {
      json["run"].erase(name);
    }
  }
  json["stage"] = name_of(config.stage);
  return sha256_hex(json.dump());
}

/// Time that the processors spent on this process so far, of all threads together.
double processor_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

/// Watches for a loss that runs away: its running mean against the lowest that it was.
class DivergenceWatch {
 public:
  explicit DivergenceWatch(double most) : most_(most) {}

  void add(double loss, std::uint64_t step) {
    running_ = seen_ == 0 ? loss : 0.9 * running_ + 0.1 * loss;
    if (++seen_ >= kSettled) lowest_ = std::min(lowest_, running_);
    if (most_ > 0 && running_ > lowest_ + most_) {
      throw Error(ErrorCode::kInternal,
                  message("the loss diverges: its running mean is ", running_, " at step ", step, " and was ", lowest_,
                          " (run.divergence is ", most_, "); the last checkpoint stays. Try a lower learning rate"));
    }
  }

 private:
  static constexpr int kSettled = 10;
  double most_;
  double running_ = 0;
  double lowest_ = std::numeric_limits<double>::infinity();
  int seen_ = 0;
};

class Trainer {
 public:
  Trainer(const TrainConfig& config, const TrainOptions& options)
      : config_(config), options_(options), group_(options.group), watch_(config.run.divergence) {}

  TrainReport run() {
    require_equal_machines();
    group_.first_then_others([&] { prepare(); });
    if (group_.any(resumes_)) restore();
    if (group_.is_first()) log_.emplace(config_.out / "log.jsonl", step_);
    while (step_ < config_.steps) {
      evaluate();
      take_step();
      const bool stops = group_.any(options_.stops());
      if (stops || step_ % config_.run.checkpoint_every == 0 || step_ == config_.steps) save();
      if (stops && step_ < config_.steps) {
        report_.interrupted = true;
        break;
      }
    }
    return finish();
  }

 private:
  fs::path checkpoint() const { return config_.out / "checkpoint.safetensors"; }

  void tell(const TrainProgress& progress) const {
    if (options_.on_progress) options_.on_progress(progress);
  }

  /// "auto" is decided by each process: sums of what differs in dtype would be nobody's.
  void require_equal_machines() const {
    for (const auto& [mine, field] : {std::pair{config_.run.bf16, "run.dtype"}, {config_.run.cuda, "run.device"}}) {
      std::array<double, 1> sum = {mine ? 1.0 : 0.0};
      group_.sum(std::span(sum));
      if (sum[0] != 0 && sum[0] != static_cast<double>(group_.size())) {
        throw Error(ErrorCode::kUnsupported,
                    message(field, ": auto means different things on these machines; expected a value for all"), field);
      }
    }
  }

  /// The first process makes what the others find: what the run starts from, and the data's tokens.
  void prepare() {
    if (group_.is_first()) prepare_directory();
    if (!fs::exists(config_.out / "start")) {
      throw Error(ErrorCode::kNotFound,
                  message((config_.out / "start").string(), " is not there: ", group_.name(),
                          " does not see what the first process wrote; expected `out` on a file system that all share"),
                  "out");
    }
    model_.emplace(config_.out / "start", config_);
    optimizer_.emplace(model_->trained(), config_.optimizer);
    task_ = make_task(config_, *model_, group_, [&](std::uint64_t done) { tell({"tokenize", done, 0, ""}); });
    task_->go_to(config_.data.position);
  }

  void prepare_directory() {
    const bool there = fs::exists(checkpoint());
    if (there && !options_.resume) {
      throw Error(ErrorCode::kInvalidArgument,
                  message(checkpoint().string(), " is there; expected --resume to go on from it, or another out"),
                  "out");
    }
    // Killed before its first checkpoint, a run has nothing to go on from: it begins anew.
    resumes_ = there;
    if (there) return;
    fs::create_directories(config_.out);
    make_start_bundle(config_, config_.out / "start");
  }

  void restore() {
    const Json progress = read_checkpoint(checkpoint(), *optimizer_);
    if (model_->lora()) model_->lora()->merge();
    JsonReader json(progress, checkpoint().string() + ": ", ErrorCode::kCorrupt);
    if (json.text("config") != digest_of(config_)) {
      throw Error(
          ErrorCode::kInvalidArgument,
          message(checkpoint().string(), " was made by another config; expected the one that the run began with"),
          "--resume");
    }
    constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
    step_ = static_cast<std::uint64_t>(json.integer("step", 0, kMost));
    report_.tokens = static_cast<std::uint64_t>(json.integer("tokens", 0, kMost));
    report_.loss = json.number("loss", -1e300, 1e300);
    task_->go_to(static_cast<std::uint64_t>(json.integer("position", 0, kMost)));
  }

  void evaluate() {
    if (const std::optional<Json> rewards = task_->evaluate(step_); rewards && log_) {
      log_->write({{"step", step_}, {"evaluation", *rewards}});
    }
  }

  void take_step() {
    const double rate = learning_rate_at(step_, config_.steps, config_.optimizer);
    task_->begin(step_);
    double norm = 0;
    double loss = 0;
    for (std::int64_t update = 0; update < task_->updates(); ++update) {
      const double share = task_->compute_gradients(update);
      if (model_->lora()) model_->lora()->take_gradients();
      const double one = sum_gradients(group_, optimizer_->weights(), share);
      norm = optimizer_->clip_gradients();
      require_finite(one, norm);
      optimizer_->step(rate);
      if (model_->lora()) model_->lora()->merge();
      loss += one / static_cast<double>(task_->updates());
    }
    ++step_;
    if (task_->has_log_loss()) watch_.add(loss, step_);
    fail_point("train.step");
    report_.loss = loss;
    const std::uint64_t tokens = tokens_of_step();
    report_.tokens += tokens;
    since_log_ += tokens;
    tokens_here_ += tokens;
    if (step_ % config_.run.log_every == 0 || step_ == 1 || step_ == config_.steps) write_log(rate, norm);
    tell({"train", step_, config_.steps, note()});
  }

  std::uint64_t tokens_of_step() const {
    std::array<double, 2> sums = {static_cast<double>(task_->tokens()), static_cast<double>(task_->position())};
    group_.sum(std::span(sums));
    if (sums[1] != static_cast<double>(task_->position()) * static_cast<double>(group_.size())) {
      throw Error(ErrorCode::kInternal,
                  message("step ", step_,
                          ": the processes have drawn different data; expected the same files on all machines"));
    }
    return static_cast<std::uint64_t>(sums[0]);
  }

  void require_finite(double loss, double norm) const {
    if (std::isfinite(loss) && std::isfinite(norm)) return;
    throw Error(
        ErrorCode::kInternal,
        message("step ", step_ + 1, ": the loss is ", loss, " and the gradient's norm ", norm,
                "; expected finite numbers. The last checkpoint stays. Try a lower learning rate, or run.dtype fp32"));
  }

  void write_log(double rate, double norm) {
    if (!log_) return;
    const double seconds = since_log_watch_.elapsed_ms() / 1000;
    rate_ = static_cast<double>(since_log_) / std::max(seconds, 1e-9);
    Json line = {{"step", step_},
                 {"loss", report_.loss},
                 {"learning_rate", rate},
                 {"gradient_norm", norm},
                 {"tokens", report_.tokens},
                 {"tokens_per_second", std::round(rate_ * 10) / 10},
                 {"seconds", seconds},
                 {"cpu_seconds", processor_seconds() - processor_at_log_},
                 {"peak_memory_bytes", peak_memory_bytes()},
                 {"processes", group_.size()}};
    line.update(task_->describe());
    log_->write(line);
    since_log_ = 0;
    processor_at_log_ = processor_seconds();
    since_log_watch_ = Stopwatch();
  }

  std::string note() const {
    const double rate = static_cast<double>(tokens_here_) / std::max(watch_of_run_.elapsed_ms() / 1000, 1e-9);
    return message("loss ", std::round(report_.loss * 1000) / 1000, ", ", std::round(rate), " tokens/s");
  }

  void save() {
    // From here on a run that goes on from it and this one are the same.
    if (group_.size() > 1) {
      copy_from_first(group_, optimizer_->state());
      if (model_->lora()) model_->lora()->merge();
    }
    if (!group_.is_first()) return;
    write_checkpoint(checkpoint(), *optimizer_,
                     {{"config", digest_of(config_)},
                      {"step", step_},
                      {"tokens", report_.tokens},
                      {"loss", report_.loss},
                      {"position", task_->position()}});
  }

  TrainReport finish() {
    report_.steps = step_;
    report_.tokens_per_second = static_cast<double>(tokens_here_) / std::max(watch_of_run_.elapsed_ms() / 1000, 1e-9);
    report_.peak_memory_bytes = peak_memory_bytes();
    if (report_.interrupted) return report_;
    evaluate();
    report_.bundle = config_.out / "bundle";
    if (!group_.is_first()) return report_;
    model_->write_bundle(report_.bundle, config_.save_bf16,
                         {{"stage", name_of(config_.stage)},
                          {"steps", step_},
                          {"tokens", report_.tokens},
                          {"position", task_->position()},
                          {"loss", report_.loss},
                          {"config", config_.json}});
    return report_;
  }

  const TrainConfig& config_;
  const TrainOptions& options_;
  const ProcessGroup& group_;
  DivergenceWatch watch_;
  std::optional<TrainModel> model_;
  std::optional<AdamW> optimizer_;
  std::unique_ptr<Task> task_;
  std::optional<TrainLog> log_;
  bool resumes_ = false;
  std::uint64_t step_ = 0;  // done
  std::uint64_t since_log_ = 0;
  std::uint64_t tokens_here_ = 0;  // by this process
  double rate_ = 0;
  double processor_at_log_ = processor_seconds();
  Stopwatch since_log_watch_;
  Stopwatch watch_of_run_;
  TrainReport report_;
};

void require_paths(const TrainConfig& config) {
  const auto require = [](const fs::path& path, const std::string& field) {
    if (!path.empty() && !fs::exists(path)) {
      throw Error(ErrorCode::kNotFound, message(field, ": ", path.string(), " does not exist"), field);
    }
  };
  require(config.start.bundle, "start.bundle");
  require(config.start.tokenizer, "start.tokenizer");
  require(config.start.decoder, "start.decoder");
  require(config.start.encoder, "start.encoder");
  require(config.start.retriever, "start.retriever");
  for (const fs::path& path : config.data.text) require(path, "data.text");
  for (const fs::path& path : config.data.questions) require(path, "data.questions");
  for (const fs::path& path : config.data.documents) require(path, "data.documents");
}

}  // namespace

TrainReport train(const TrainConfig& config, const TrainOptions& options) {
  require_paths(config);
  TrainConfig shared = config;
  if (shared.run.threads == 0) shared.run.threads = options.group.threads();
  try {
    return Trainer(shared, options).run();
  } catch (const c10::Error& error) {
    throw Error(ErrorCode::kInternal, message("libtorch: ", error.what_without_backtrace()));
  }
}

}  // namespace refrag::train

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/message.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/print_json.h"
#include "refrag/error.h"
#include "train/config.h"
#include "train/plot.h"
#include "train/process_group.h"
#include "train/tokenizer_trainer.h"
#include "train/trainer.h"

namespace refrag::cli {
namespace {

// Of an error that all processes have, the first one tells and ends the others meanwhile.
constexpr std::chrono::milliseconds kForTheFirst(500);

struct TrainFlags {
  std::string config;
  std::vector<std::string> overrides;
  bool resume = false;
  bool quiet = false;
  std::vector<std::filesystem::path> logs;
  std::string out;
};

/// One bar for tokenizing, then one for steps.
class TrainBars {
 public:
  explicit TrainBars(bool quiet) : quiet_(quiet) {}

  void show(const train::TrainProgress& progress) {
    if (progress.doing != doing_) {
      doing_ = progress.doing;
      bar_.emplace(doing_, doing_ == "train" ? "steps" : "records", progress.total, quiet_);
    }
    bar_->update(progress.done, progress.note);
  }
  void finish() { bar_.reset(); }

 private:
  bool quiet_;
  std::string doing_;
  std::optional<ProgressBar> bar_;
};

Json to_json(const train::TrainReport& report) {
  return {{"steps", report.steps},
          {"tokens", report.tokens},
          {"loss", report.loss},
          {"tokens_per_second", report.tokens_per_second},
          {"peak_memory_bytes", report.peak_memory_bytes},
          {"interrupted", report.interrupted},
          {"bundle", report.bundle.string()}};
}

void tell_report(const train::TrainReport& report, bool json) {
  if (json) {
    print_json(to_json(report));
  } else if (report.interrupted) {
    std::cout << "interrupted at step " << report.steps << "; the same command with --resume goes on from there\n";
  } else {
    std::cout << report.steps << " steps, " << report.tokens << " tokens, loss " << report.loss << ", "
              << static_cast<std::uint64_t>(report.tokens_per_second) << " tokens/s, peak memory "
              << (report.peak_memory_bytes >> 20) << " MiB: " << report.bundle.string() << '\n';
  }
}

int run_stage(train::Stage stage, const TrainFlags& flags, bool json, const train::ProcessGroup& group) {
  // What is wrong with it is told by the first process alone.
  train::TrainConfig config;
  group.first_then_others([&] { config = train::read_train_config(stage, flags.config, flags.overrides); });
  const InterruptGuard interrupt;
  TrainBars bars(flags.quiet || json || !group.is_first());
  if (group.size() > 1 && group.is_first() && !flags.quiet) {
    std::cerr << group.size()
              << " processes, threads of each: " << (config.run.threads == 0 ? group.threads() : config.run.threads)
              << '\n';
  }
  train::TrainOptions options;
  options.group = group;
  options.resume = flags.resume;
  options.stops = InterruptGuard::interrupted;
  options.on_progress = [&](const train::TrainProgress& progress) { bars.show(progress); };
  const train::TrainReport report = train::train(config, options);
  bars.finish();
  if (group.is_first()) tell_report(report, json);
  std::cout.flush();
  group.barrier();  // where one leaves with 130 the launcher ends all: not before the first one has written and told
  return report.interrupted ? kInterrupted : kDone;
}

/// The others would wait for a process that failed: it takes them along once the error has been printed.
int run_train(train::Stage stage, const TrainFlags& flags, CommandContext& context) {
  const train::ProcessGroup group = train::ProcessGroup::of_launcher();
  if (group.size() == 1) return run_stage(stage, flags, context.json, group);
  context.after_error = [group](int exit_code) {
    std::cout.flush();
    group.abort(exit_code);
  };
  try {
    return run_stage(stage, flags, context.json, group);
  } catch (const Error& error) {
    if (group.is_first()) throw;
    std::this_thread::sleep_for(kForTheFirst);
    throw Error(error.code(), message(group.name(), ": ", error.what()), error.param());
  } catch (const std::exception& error) {
    if (group.is_first()) throw;
    std::this_thread::sleep_for(kForTheFirst);
    throw Error(ErrorCode::kInternal, message(group.name(), ": ", error.what()));
  }
}

int run_plot(const TrainFlags& flags, bool json) {
  write_file_atomic(flags.out, train::plot_logs(flags.logs));
  if (json) {
    print_json({{"out", flags.out}});
  } else {
    std::cout << flags.out << '\n';
  }
  return kDone;
}

int run_tokenizer(const TrainFlags& flags, bool json) {
  if (const auto launched = train::launched_processes(); launched > 1) {
    throw Error(ErrorCode::kInvalidArgument,
                message("one process trains a tokenizer; expected to be started without mpirun or srun, which started ",
                        launched));
  }
  const train::TokenizerConfig config = train::read_tokenizer_config(flags.config, flags.overrides);
  TrainBars bars(flags.quiet || json);
  train::train_tokenizer(config, [&](std::uint64_t texts) { bars.show({"read", texts, 0, ""}); });
  bars.finish();
  if (json) {
    print_json({{"out", config.out.string()}, {"vocab_size", config.vocab_size}});
  } else {
    std::cout << (config.out / "tokenizer.model").string() << '\n';
  }
  return kDone;
}

void add_tokenizer(CLI::App& train, CommandContext& context) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = train.add_subcommand("tokenizer", "A SentencePiece tokenizer, for a decoder that is made anew");
  command->add_option("--config", flags->config, "JSON file (docs/training.md)")->required();
  command->add_option("--set", flags->overrides, "KEY=VALUE: in place of what the file says; null takes it out")
      ->allow_extra_args(false);
  command->add_flag("--quiet", flags->quiet, "no progress bar");
  command->add_flag("--json", context.json, "print where it is as JSON");
  command->footer(R"(
Example:
  refrag train tokenizer --config configs/train/refrag-tiny/tokenizer.json --set vocab_size=4096)");
  command->callback(
      [flags, &context] { context.command = [flags, &context] { return run_tokenizer(*flags, context.json); }; });
}

void add_stage(CLI::App& train, CommandContext& context, const std::string& name, const std::string& what) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = train.add_subcommand(name, what);
  command->add_option("--config", flags->config, "JSON file of the run (docs/training.md)")->required();
  command
      ->add_option("--set", flags->overrides,
                   "KEY=VALUE: in place of what the file says, such as run.seed=2; null takes it out")
      ->allow_extra_args(false);
  command->add_flag("--resume", flags->resume, "go on from the checkpoint in the config's `out`, if there is one");
  command->add_flag("--quiet", flags->quiet, "no progress bar");
  command->add_flag("--json", context.json, "print the report as JSON");
  command->footer(message(R"(
Ctrl-C writes a checkpoint and stops.

Example:
  refrag train )",
                          name, " --config configs/train/refrag-tiny/", name, ".json --set out=runs/", name));
  command->callback([flags, name, &context] {
    context.command = [flags, name, &context] { return run_train(train::parse_stage(name), *flags, context); };
  });
}

void add_plot(CLI::App& train, CommandContext& context) {
  auto flags = std::make_shared<TrainFlags>();
  CLI::App* command = train.add_subcommand("plot", "Draw the curves of runs' logs as an SVG picture");
  command->add_option("LOG", flags->logs, "log.jsonl of one or more runs")->required();
  command->add_option("--out", flags->out, "the picture, FILE.svg")->required();
  command->add_flag("--json", context.json, "print where it is as JSON");
  command->footer(R"(
Example:
  refrag train plot runs/cpt/log.jsonl runs/cpt-no-curriculum/log.jsonl --out cpt.svg)");
  command->callback(
      [flags, &context] { context.command = [flags, &context] { return run_plot(*flags, context.json); }; });
}

}  // namespace

void add_train_command(CLI::App& app, CommandContext& context) {
  CLI::App* train = app.add_subcommand("train", "Train a bundle, stage by stage");
  train->require_subcommand(0, 1);
  add_tokenizer(*train, context);
  add_stage(*train, context, "pretrain", "A decoder, next-token prediction over documents");
  add_stage(*train, context, "reconstruct", "Encoder and projector, so that the decoder writes chunks back");
  add_stage(*train, context, "cpt", "All weights: a compressed context, then what follows it");
  add_stage(*train, context, "sft", "All weights: question, passages, answer");
  add_stage(*train, context, "policy", "The expansion policy, by reinforcement learning (GRPO)");
  add_stage(*train, context, "retriever", "A retriever of the bundle's own, by contrast");
  add_plot(*train, context);
  train->footer(R"(
Each stage reads a JSON config and writes a bundle that `refrag query` and the server open (docs/training.md). Started by
mpirun or srun, several processes share a stage's work.

Examples:
  refrag train cpt --config configs/train/refrag-tiny/cpt.json --set run.threads=2 --resume
  mpirun -n 4 refrag train cpt --config configs/train/refrag-tiny/cpt.json --set batch.accumulate=4)");
}

}  // namespace refrag::cli

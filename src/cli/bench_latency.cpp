#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <string>

#include "base/cpu.h"
#include "base/files.h"
#include "base/progress.h"
#include "base/svg_chart.h"
#include "bench/latency_report.h"
#include "bench/machine.h"
#include "bench/random_model.h"
#include "cli/bench_parts.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/print_json.h"
#include "engine/bundle_runner.h"

namespace refrag::cli {
namespace {

constexpr std::size_t kPartOfShape = 4;  // layers of llama2-7b that are run where nothing else is said

struct LatencyFlags {
  bench::LatencyPlan plan;
  bench::RandomModelOptions model;
  std::string dtype = "auto";
  std::string json_file;
  std::string plot_file;
  bool quiet = false;
};

/// The longest sequence of the plan: the prompt's own tokens come on top of the context.
std::size_t longest_sequence(const bench::LatencyPlan& plan) {
  constexpr std::size_t kAroundContext = 1024;
  return *std::max_element(plan.contexts.begin(), plan.contexts.end()) + plan.tokens + kAroundContext;
}

void check_layers(const LatencyFlags& flags, const bench::RandomModel& model) {
  const auto is_batch = [](std::size_t batch) { return batch > 1; };
  if (model.layers_run() < model.decoder().layers && std::ranges::any_of(flags.plan.batches, is_batch)) {
    throw Error(ErrorCode::kInvalidArgument,
                "--batch is above 1; expected 1 where fewer layers run than the shape has, since what a step of many "
                "requests takes cannot be scaled to all of them",
                "--batch");
  }
}

void fill_defaults(LatencyFlags& flags) {
  if (flags.model.decoder == "tiny" && flags.model.encoder.empty()) flags.model.encoder = "tiny";
  if (flags.model.encoder.empty()) flags.model.encoder = "roberta-base";
  if (flags.model.decoder == "llama2-7b" && flags.model.layers == 0) flags.model.layers = kPartOfShape;
  flags.model.dtype = parse_dtype(flags.dtype);
  flags.model.max_positions = longest_sequence(flags.plan);
  flags.model.seed = flags.plan.seed;
  if (flags.plan.kv_cache_bytes == 0) flags.plan.kv_cache_bytes = memory_bytes() / 2;
}

int run_latency(LatencyFlags flags, bool json) {
  bench::check(flags.plan);
  fill_defaults(flags);
  const bench::RandomModel model(flags.model);
  check_layers(flags, model);
  ProgressBar bar("bench latency", "runs", 0, flags.quiet);
  bar.update(0, "measuring the machine");
  bench::LatencyReport report;
  report.decoder = model.decoder();
  report.layers_run = model.layers_run();
  report.encoder = model.encoder();
  report.dtype = model.dtype();
  report.bytes_a_value = model.bytes_a_value();
  report.bytes_a_weight = model.bytes_a_weight();
  report.threads = model.threads();
  report.processor = cpu_model_name();
  report.plan = flags.plan;
  const auto measure_machine = [&] {
    return bench::measure_machine(*model.bundle(flags.plan.chunk_sizes.front()), longest_sequence(flags.plan),
                                  flags.plan.max_step_positions);
  };
  report.machine = measure_machine();
  const auto make_runner = [&](std::size_t chunk_size) {
    return std::make_shared<BundleRunner>(model.bundle(chunk_size));
  };
  report.rows = bench::measure_latency(flags.plan, model.tokenizer(), make_runner,
                                       [&](std::size_t done, std::size_t total, const std::string& next) {
                                         bar.set_total(total);
                                         bar.update(done, next);
                                       });
  report.machine = bench::better_of(report.machine, measure_machine());
  bar.finish();
  if (!flags.plot_file.empty()) write_file_atomic(flags.plot_file, to_svg(bench::charts_of(report)));
  if (!flags.json_file.empty()) write_file_atomic(flags.json_file, json_text(bench::to_json(report), 1) + "\n");
  if (json) {
    print_json(bench::to_json(report));
  } else {
    std::cout << bench::to_markdown(report);
  }
  return kDone;
}

}  // namespace

void add_bench_latency(CLI::App& bench, CommandContext& context) {
  auto flags = std::make_shared<LatencyFlags>();
  flags->model.encoder.clear();
  CLI::App* command = bench.add_subcommand(
      "latency", "TTFT, TTIT and throughput of full context and of refrag, side by side, with random weights");
  command
      ->add_option("--shape", flags->model.decoder,
                   "tiny, smollm2, tinyllama, llama2-7b, a config.json or a model's directory")
      ->capture_default_str();
  command->add_option("--encoder", flags->model.encoder,
                      "tiny, roberta-base, roberta-large, or as --shape; default: roberta-base, of tiny: tiny");
  command->add_option("--layers", flags->model.layers,
                      "run only so many of the decoder's layers and scale to all; 0: all, of llama2-7b: 4");
  command->add_option("--contexts", flags->plan.contexts, "context tokens, multiples of 256")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--k", flags->plan.chunk_sizes, "tokens a chunk")->delimiter(',')->capture_default_str();
  command->add_option("--expand", flags->plan.expand, "shares of the chunks to expand")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--batch", flags->plan.batches, "requests at a time, for throughput")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--tokens", flags->plan.tokens, "tokens of each answer")->capture_default_str();
  command->add_option("--repeat", flags->plan.repeat, "rounds; in each, every prompt once warm and once new")
      ->capture_default_str();
  command->add_option("--dtype", flags->dtype, "auto, fp32, bf16, or int8: the decoder's weights alone")
      ->check(CLI::IsMember(dtype_words()))
      ->capture_default_str();
  command->add_option("--threads", flags->model.threads, "threads of one model operation; 0: one a physical core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command->add_option("--step-positions", flags->plan.max_step_positions, "prompt positions that one step computes")
      ->capture_default_str();
  command->add_option("--kv-cache-bytes", flags->plan.kv_cache_bytes, "KV memory; 0: half the machine's memory")
      ->capture_default_str();
  command->add_option("--seed", flags->plan.seed, "of weights and passages")->capture_default_str();
  command->add_option("--json-file", flags->json_file, "also write the figures as JSON there");
  command->add_option("--plot", flags->plot_file, "also draw ratios and times as SVG there");
  command->add_flag("--quiet", flags->quiet, "no progress bar");
  command->add_flag("--json", context.json, "print the figures as JSON");
  command->footer(R"(
Nothing is downloaded: weights are random, of the real shape, which changes no speed. Times are of the product's own
path, Engine over a knowledge base. The report says what TTFT includes. All of the default plan takes hours on two
cores: begin with one context.

Examples:
  refrag bench latency --shape tiny --contexts 512,4096 --k 8,16
  refrag bench latency --shape tinyllama --threads 2 --contexts 2048,16384 --k 16,32 --plot latency.svg
  refrag bench latency --shape tinyllama --contexts 2048 --k 16 --tokens 128 --batch 1,2,4,8)");
  command->callback(
      [flags, &context] { context.command = [flags, &context] { return run_latency(*flags, context.json); }; });
}

}  // namespace refrag::cli

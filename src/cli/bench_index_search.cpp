#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/files.h"
#include "base/progress.h"
#include "bench/search_bench.h"
#include "bench/spread.h"
#include "cli/bench_parts.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/print_json.h"
#include "refrag/indexer.h"

namespace refrag::cli {
namespace {

// ---------------------------------------------------------------- index

struct BenchIndexFlags {
  ModelFlags model;
  std::vector<std::string> paths;
  std::size_t repeat = 1;
  std::string vectors = "fp16";
  bool quiet = false;
};

struct IndexRuns {
  std::vector<double> documents, passages, chunks, tokens;  // a second, one a run
  KnowledgeBaseStats stats;
  std::size_t errors = 0;
};

double a_chunk(std::uint64_t bytes, const KnowledgeBaseStats& stats) {
  return stats.chunks == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(stats.chunks);
}

void index_once(const BenchIndexFlags& flags, const std::shared_ptr<const ModelBundle>& bundle, IndexRuns& runs) {
  const TemporaryDirectory directory;
  const VectorFormat format = flags.vectors == "int8" ? VectorFormat::kInt8 : VectorFormat::kFp16;
  const auto base = KnowledgeBase::create(directory.path() / "kb", bundle->schema(format));
  Indexer indexer(bundle, base);
  ProgressBar bar("bench index", "documents", 0, flags.quiet);
  const Stopwatch watch;
  const IndexReport report =
      indexer.add_paths({flags.paths.begin(), flags.paths.end()}, [&](const IndexProgress& progress) {
        bar.set_total(progress.documents_expected);
        bar.update(progress.documents);
        return true;
      });
  const double seconds = watch.elapsed_ms() / 1000;
  bar.finish();
  runs.stats = base->stats();
  runs.errors = report.totals.errors;
  const auto a_second = [&](std::size_t count) { return static_cast<double>(count) / seconds; };
  runs.documents.push_back(a_second(runs.stats.documents));
  runs.passages.push_back(a_second(runs.stats.passages));
  runs.chunks.push_back(a_second(runs.stats.chunks));
  runs.tokens.push_back(a_second(runs.stats.tokens));
}

Json to_json(const IndexRuns& runs) {
  return {{"documents", runs.stats.documents},
          {"passages", runs.stats.passages},
          {"chunks", runs.stats.chunks},
          {"tokens", runs.stats.tokens},
          {"left_out", runs.errors},
          {"documents_per_second", bench::to_json(bench::spread_of(runs.documents))},
          {"passages_per_second", bench::to_json(bench::spread_of(runs.passages))},
          {"chunks_per_second", bench::to_json(bench::spread_of(runs.chunks))},
          {"tokens_per_second", bench::to_json(bench::spread_of(runs.tokens))},
          {"vector_bytes_per_chunk", a_chunk(runs.stats.vector_bytes, runs.stats)},
          {"metadata_bytes_per_chunk", a_chunk(runs.stats.metadata_bytes, runs.stats)},
          {"peak_memory_bytes", peak_memory_bytes()}};
}

void print(const IndexRuns& runs) {
  const auto row = [](const char* name, const std::vector<double>& values) {
    std::cout << "| " << name << " a second | " << bench::text_of(bench::spread_of(values), 1) << " |\n";
  };
  std::cout << runs.stats.documents << " documents, " << runs.stats.passages << " passages, " << runs.stats.chunks
            << " chunks, " << runs.stats.tokens << " tokens; " << runs.errors << " left out\n\n| | |\n| --- | --- |\n";
  row("documents", runs.documents);
  row("passages", runs.passages);
  row("chunks", runs.chunks);
  row("tokens", runs.tokens);
  std::cout << "| bytes of vectors a chunk | " << bench::text_of(a_chunk(runs.stats.vector_bytes, runs.stats), 1)
            << " |\n| bytes of metadata a chunk | " << bench::text_of(a_chunk(runs.stats.metadata_bytes, runs.stats), 1)
            << " |\n| peak memory, MiB | " << bench::text_of(static_cast<double>(peak_memory_bytes()) / (1 << 20), 0)
            << " |\n";
}

int run_bench_index(const BenchIndexFlags& flags, bool json) {
  const auto bundle = flags.model.load(ModelFlags::Use::kNoDecoder);
  IndexRuns runs;
  for (std::size_t n = 0; n < flags.repeat; ++n) index_once(flags, bundle, runs);
  if (json) {
    print_json(to_json(runs));
  } else {
    print(runs);
  }
  return runs.errors == 0 ? kDone : kSomeLeftOut;
}

// ---------------------------------------------------------------- search

struct BenchSearchFlags {
  bench::SearchPlan plan;
  bool quiet = false;
};

int run_bench_search(const BenchSearchFlags& flags, bool json) {
  ProgressBar bar("bench search", "queries", flags.plan.queries, flags.quiet);
  const bench::SearchReport report = bench::measure_search(flags.plan, [&](std::size_t done) { bar.update(done); });
  bar.finish();
  if (json) {
    print_json(bench::to_json(report));
  } else {
    std::cout << bench::to_markdown(report);
  }
  return kDone;
}

}  // namespace

void add_bench_index(CLI::App& bench, CommandContext& context) {
  auto flags = std::make_shared<BenchIndexFlags>();
  CLI::App* command = bench.add_subcommand("index", "How fast documents are indexed, and how much room they take");
  flags->model.declare(*command);
  command->add_option("PATH", flags->paths, "files and directories to index")->required();
  command->add_option("--vectors", flags->vectors, "how chunk vectors are stored: fp16 or int8")
      ->check(CLI::IsMember({"fp16", "int8"}))
      ->capture_default_str();
  command->add_option("--repeat", flags->repeat, "runs, each into a new knowledge base")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--quiet", flags->quiet, "no progress bar");
  command->add_flag("--json", context.json, "print the figures as JSON");
  command->footer(R"(
The knowledge base is a temporary one.

Example:
  refrag bench index --model models/refrag-tiny data/packages-heldout.jsonl)");
  command->callback(
      [flags, &context] { context.command = [flags, &context] { return run_bench_index(*flags, context.json); }; });
}

void add_bench_search(CLI::App& bench, CommandContext& context) {
  auto flags = std::make_shared<BenchSearchFlags>();
  CLI::App* command =
      bench.add_subcommand("search", "Recall and latency of retrieval over random passages, beside exact search");
  command->add_option("--passages", flags->plan.passages, "in the knowledge base, a temporary one")
      ->capture_default_str();
  command->add_option("--width", flags->plan.width, "of passage vectors")->capture_default_str();
  command->add_option("--queries", flags->plan.queries, "to ask")->capture_default_str();
  command->add_option("--top-k", flags->plan.top_k, "passages to find")->capture_default_str();
  command->add_flag("--merge", flags->plan.merge, "fold all segments into one before searching");
  command->add_option("--seed", flags->plan.seed, "of passages and queries")->capture_default_str();
  command->add_flag("--quiet", flags->quiet, "no progress bar");
  command->add_flag("--json", context.json, "print the figures as JSON");
  command->footer(R"(
Example:
  refrag bench search --passages 100000 --queries 1000)");
  command->callback(
      [flags, &context] { context.command = [flags, &context] { return run_bench_search(*flags, context.json); }; });
}

}  // namespace refrag::cli

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/message.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/print_json.h"
#include "cli/terminal.h"
#include "engine/bundle_runner.h"
#include "refrag/indexer.h"
#include "text/reader_paths.h"

namespace refrag::cli {
namespace {

struct IndexFlags {
  ModelFlags model;
  std::string kb;
  std::vector<std::filesystem::path> paths;
  IndexOptions options;
  std::string vector_format = "fp16";
  bool dry_run = false;
  bool quiet = false;
  bool commit_log = false;
};

Json to_json(const IndexReport& report, double seconds) {
  Json problems = Json::array();
  for (const DocumentResult& problem : report.problems) {
    problems.push_back({{"id", problem.id}, {"error", problem.error}});
  }
  const IndexProgress& totals = report.totals;
  return {{"documents", totals.documents},
          {"created", totals.created},
          {"replaced", totals.replaced},
          {"unchanged", totals.unchanged},
          {"errors", totals.errors},
          {"passages", totals.passages},
          {"chunks", totals.chunks},
          {"problems", problems},
          {"interrupted", report.interrupted},
          {"seconds", seconds},
          {"documents_per_second", static_cast<double>(totals.documents) / seconds},
          {"peak_memory_bytes", peak_memory_bytes()}};
}

void print(const IndexReport& report, double seconds, bool dry_run) {
  constexpr std::size_t kMostShown = 20;
  for (std::size_t n = 0; n < report.problems.size() && n < kMostShown; ++n) {
    std::cerr << "left out: " << printable(report.problems[n].id) << ": " << printable(report.problems[n].error)
              << '\n';
  }
  if (report.problems.size() > kMostShown) {
    std::cerr << "left out: " << report.problems.size() - kMostShown << " more (--json lists all)\n";
  }
  const IndexProgress& totals = report.totals;
  std::cout << (dry_run ? "would add " : "added ") << totals.created << ", replaced " << totals.replaced
            << ", unchanged " << totals.unchanged << ", left out " << totals.errors << "; " << totals.passages
            << " passages, " << totals.chunks << " chunks; " << totals.documents << " documents in " << seconds
            << " s (" << static_cast<double>(totals.documents) / seconds << " a second, peak memory "
            << (peak_memory_bytes() >> 20) << " MiB)\n";
  if (report.interrupted) {
    std::cout << "interrupted: what was committed stays; run the same command again to go on\n";
  }
}

std::shared_ptr<KnowledgeBase> open_or_create(const IndexFlags& flags, const ModelBundle& bundle) {
  if (KnowledgeBase::exists(flags.kb)) {
    return KnowledgeBase::open(flags.kb);
  }
  if (flags.dry_run) {
    return nullptr;  // compared with nothing: every document counts as new
  }
  const VectorFormat format = flags.vector_format == "int8" ? VectorFormat::kInt8 : VectorFormat::kFp16;
  return KnowledgeBase::create(flags.kb, bundle.schema(format));
}

int run_index(const IndexFlags& flags, bool json) {
  require_existing(flags.paths);
  const auto bundle = flags.model.load(ModelFlags::Use::kNoDecoder);
  const auto runner = std::make_shared<BundleRunner>(bundle);
  const Indexer checked(runner, nullptr, flags.options);  // a wrong option is told before a base is made
  Indexer indexer(runner, open_or_create(flags, *bundle), flags.options);

  const InterruptGuard interrupt;
  const Stopwatch stopwatch;
  ProgressBar bar(flags.dry_run ? "dry run" : "index", "documents", 0, flags.quiet || json);
  std::size_t committed = 0;
  const auto on_progress = [&](const IndexProgress& progress) {
    bar.set_total(progress.documents_expected);
    bar.update(progress.documents, message(progress.chunks, " chunks"));
    const std::size_t stored = progress.created + progress.replaced;
    if (flags.commit_log && !flags.dry_run && stored > committed) {
      committed = stored;
      (json ? std::cerr : std::cout) << "committed " << committed << std::endl;
    }
    return true;
  };
  const IndexReport report = flags.dry_run ? indexer.dry_run(flags.paths, on_progress, InterruptGuard::interrupted)
                                           : indexer.add_paths(flags.paths, on_progress, InterruptGuard::interrupted);
  bar.finish();
  const double seconds = stopwatch.elapsed_ms() / 1000;
  if (json) {
    print_json(to_json(report, seconds));
  } else {
    print(report, seconds, flags.dry_run);
  }
  if (report.interrupted) {
    return kInterrupted;
  }
  return report.totals.errors > 0 ? kSomeLeftOut : kDone;
}

}  // namespace

void add_index_command(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<IndexFlags>();
  CLI::App* command = app.add_subcommand("index", "Add documents to a knowledge base, made when it is not there");
  flags->model.declare(*command);
  command->add_option("--kb", flags->kb, "knowledge base directory")->required();
  command->add_option("PATH", flags->paths, "files (txt, md, html, pdf, jsonl) or directories; - reads NDJSON")
      ->required();
  command
      ->add_option("--passage-tokens", flags->options.passage_tokens,
                   "budget of a passage; 0: what the model was trained with")
      ->check(CLI::Range(0, 8192))
      ->capture_default_str();
  command
      ->add_option("--overlap-tokens", flags->options.overlap_tokens,
                   "repeated at the start of the next passage, at most half of it")
      ->capture_default_str();
  command->add_option("--batch", flags->options.batch_documents, "documents a commit")
      ->check(CLI::Range(1, 65536))
      ->capture_default_str();
  command->add_option("--vector-format", flags->vector_format, "of a new knowledge base")
      ->check(CLI::IsMember({"fp16", "int8"}))
      ->capture_default_str();
  command->add_flag("--dry-run", flags->dry_run, "say what would happen, write nothing");
  command->add_flag("--commit-log", flags->commit_log,
                    "print 'committed N' after each commit, N documents added or replaced by this run (with --json on "
                    "standard error)");
  command->add_flag("--quiet", flags->quiet, "no progress bar");
  command->add_flag("--json", context.json, "print the report as JSON");
  command->footer(R"(
Ctrl-C stops after the documents at hand, which are committed; running the same command again goes on from there.

Examples:
  refrag index --model models/refrag-tiny --kb kb/packages data/packages-heldout.jsonl
  refrag index --model DIR --kb kb/notes ~/notes report.pdf
  zcat dump.ndjson.gz | refrag index --model DIR --kb kb/dump -)");
  command->callback(
      [flags, &context] { context.command = [flags, &context] { return run_index(*flags, context.json); }; });
}

}  // namespace refrag::cli

#include <CLI/CLI.hpp>
#include <iomanip>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/progress.h"
#include "cli/eval_output.h"
#include "cli/eval_rows.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/print_json.h"
#include "engine/bundle_runner.h"
#include "eval/lm.h"

namespace refrag::cli {
namespace {

struct LmFlags {
  ModelFlags model;
  RowFlags rows;
  std::string data;
  LmOptions options{.settings = {}, .documents = 100};
};

Json to_json(const LmReport& report, const LmFlags& flags, const RowChoice& choice) {
  Json rows = Json::array();
  for (const LmRow& row : report.rows) {
    Json json = setting_json(row.setting);
    put_figure(json, "log_perplexity", row.log_perplexity);
    put_figure(json, "gap_recovered", row.gap_recovered);
    json["context_positions"] = row.context_positions;
    rows.push_back(std::move(json));
  }
  return {{"rows", rows},
          {"rows_left_out", left_out_json(choice)},
          {"documents", report.documents},
          {"windows", report.windows},
          {"target_tokens", report.target_tokens},
          {"too_short", report.too_short},
          {"context", flags.options.context},
          {"target", flags.options.target},
          {"seed", flags.rows.seed},
          {"resamples", flags.rows.resamples},
          {"interrupted", report.interrupted}};
}

void print(const LmReport& report, const LmFlags& flags) {
  std::cout << "| row | log-perplexity | gap recovered | context positions |\n| --- | --- | --- | --- |\n";
  for (const LmRow& row : report.rows) {
    std::cout << "| " << label_of(row.setting) << " | " << figure_text(row.log_perplexity) << " | "
              << figure_text(row.gap_recovered) << " | " << std::fixed << std::setprecision(1) << row.context_positions
              << " |\n";
  }
  std::cout << flags.options.context << " tokens of context, the next " << flags.options.target << " predicted; "
            << report.windows << " windows of " << report.documents << " documents, " << report.too_short
            << " documents left out, too short. In brackets: 95 % bootstrap intervals over documents, "
            << flags.rows.resamples << " resamples. Gap: how much of the way from none to full.\n";
}

std::vector<SvgChart> charts_of(const LmReport& report) {
  std::vector<PlotRow> losses;
  std::vector<PlotRow> gaps;
  for (const LmRow& row : report.rows) {
    losses.push_back({row.setting, row.log_perplexity});
    if (row.gap_recovered) {
      gaps.push_back({row.setting, *row.gap_recovered});
    }
  }
  std::vector<SvgChart> charts = {chart_by_share("Language modelling: log-perplexity", "nats a token", losses)};
  if (!gaps.empty()) {
    charts.push_back(chart_by_share("Language modelling: gap recovered", "share of the way from none to full", gaps));
    keep_in_view(charts.back().y, gaps, 0, 1);
  }
  return charts;
}

int run_lm(const LmFlags& flags, bool json) {
  flags.rows.check();
  const std::vector<std::string> texts = read_texts(flags.data, flags.rows.seed);
  const auto runner = std::make_shared<BundleRunner>(flags.model.load());
  const RowChoice choice = flags.rows.choose(runner->info());
  print_left_out(choice);
  LmOptions options = flags.options;
  options.settings = choice.settings;
  options.seed = flags.rows.seed;
  options.resamples = flags.rows.resamples;
  const InterruptGuard interrupt;
  ProgressBar bar("eval lm", "documents", 0, flags.rows.quiet || json);
  const LmReport report = evaluate_lm(runner, texts, options, [&](std::size_t done, std::size_t total) {
    bar.set_total(total);
    bar.update(done);
    return !InterruptGuard::interrupted();
  });
  bar.finish();
  if (json) {
    print_json(to_json(report, flags, choice));
  } else {
    print(report, flags);
  }
  if (!flags.rows.plot.empty() && !report.rows.empty()) {
    write_plot(flags.rows.plot, charts_of(report));
  }
  if (report.interrupted) {
    std::cerr << "interrupted: the table is over the documents that were done\n";
  }
  return report.interrupted ? kInterrupted : kDone;
}

}  // namespace

void add_eval_lm(CLI::App& eval, CommandContext& context) {
  auto flags = std::make_shared<LmFlags>();
  CLI::App* lm = eval.add_subcommand("lm", "Log-perplexity of what follows a context, by what is read of the context");
  flags->model.declare(*lm);
  lm->add_option("--data", flags->data, "JSONL of documents: text")->required();
  lm->add_option("--context", flags->options.context, "tokens that are compressed")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  lm->add_option("--target", flags->options.target, "tokens behind them that are predicted")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  lm->add_option("--windows", flags->options.windows, "of a document, from its beginning; 0: all")
      ->capture_default_str();
  lm->add_option("--limit", flags->options.documents, "documents that are long enough, drawn at random; 0: all")
      ->capture_default_str();
  flags->rows.declare(*lm);
  lm->add_flag("--json", context.json, "print the table as JSON");
  lm->footer(R"(
The sequence is BOS, the context as each row reads it, the target; no prompt template.
Ctrl-C stops after the document at hand and prints the table so far.

Examples:
  refrag eval lm --model models/refrag-tiny --data data/packages-heldout.jsonl --context 48 --target 32
  refrag eval lm --model DIR --data texts.jsonl --all-rows --plot lm.svg)");
  lm->callback([flags, &context] { context.command = [flags, &context] { return run_lm(*flags, context.json); }; });
}

}  // namespace refrag::cli

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "base/message.h"
#include "base/progress.h"
#include "cli/eval_output.h"
#include "cli/eval_rows.h"
#include "cli/exit_code.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/print_json.h"
#include "engine/bundle_runner.h"
#include "eval/qa.h"

namespace refrag::cli {
namespace {

struct QaFlags {
  ModelFlags model;
  RowFlags rows;
  std::string data;
  std::string documents;
  std::vector<std::size_t> passages = {4};
  bool passages_given = false;
  double drop_relevant = 0;
  std::size_t limit = 0;
  QaLimits limits;
};

/// The one other JSONL file beside `data`; empty where there is none, or more than one.
std::string documents_beside(const std::filesystem::path& data) {
  const std::filesystem::path folder = data.has_parent_path() ? data.parent_path() : ".";
  std::vector<std::string> others;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".jsonl" && entry.path().filename() != data.filename()) {
      others.push_back(entry.path().string());
    }
  }
  return others.size() == 1 ? others[0] : std::string();
}

std::vector<QaItem> read_questions(const QaFlags& flags) {
  QaDataOptions options;
  options.limit = flags.limit;
  options.seed = flags.rows.seed;
  options.needs_relevant = flags.drop_relevant > 0;
  const std::string documents = flags.documents.empty() ? documents_beside(flags.data) : flags.documents;
  if (!documents.empty()) {
    const std::size_t most = *std::max_element(flags.passages.begin(), flags.passages.end());
    options.distractors = DistractorOptions{documents, most, flags.rows.seed};
  }
  return read_qa(flags.data, options);
}

QaOptions options_of(const QaFlags& flags, const RowChoice& rows) {
  QaOptions options;
  options.settings = rows.settings;
  if (flags.passages_given) {
    options.passages.assign(flags.passages.begin(), flags.passages.end());
  }
  options.drop_relevant = flags.drop_relevant;
  options.limits = flags.limits;
  options.seed = flags.rows.seed;
  options.resamples = flags.rows.resamples;
  return options;
}

Json to_json(const QaRow& row) {
  Json json = setting_json(row.setting);
  json["questions"] = row.questions;
  json["passages"] = row.passages;
  json["drop_relevant"] = row.drop_relevant;
  json["prompt_positions"] = row.prompt_positions;
  const auto put = [&json](const std::string& name, const QaFigure& figure) {
    put_figure(json, name, figure.estimate);
    json[name + "_error"] = figure.standard_error;
  };
  put("exact_match", row.exact_match);
  put("f1", row.f1);
  put("answer_log_perplexity", row.answer_log_perplexity);
  put_figure(json, "exact_match_gap_recovered", row.exact_match_gap);
  put_figure(json, "log_perplexity_gap_recovered", row.log_perplexity_gap);
  return json;
}

Json to_json(const QaReport& report, const QaFlags& flags, const RowChoice& choice) {
  Json rows = Json::array();
  for (const QaRow& row : report.rows) {
    rows.push_back(to_json(row));
  }
  return {{"rows", rows},
          {"rows_left_out", left_out_json(choice)},
          {"left_out", report.left_out},
          {"passages", flags.passages.size() == 1 ? Json(flags.passages[0]) : Json(flags.passages)},
          {"drop_relevant", flags.drop_relevant},
          {"seed", flags.rows.seed},
          {"resamples", flags.rows.resamples},
          {"interrupted", report.interrupted}};
}

std::string retriever_of(double drop_relevant) {
  return drop_relevant > 0 ? message("weak (", drop_relevant * 100, " % dropped)") : "strong";
}

void print(const QaReport& report, const QaFlags& flags) {
  const bool has_weak = flags.drop_relevant > 0;
  std::cout << "| passages |" << (has_weak ? " retriever |" : "")
            << " row | questions | exact match | F1 | answer log-perplexity | exact match gap | log-perplexity gap | "
               "positions |\n| --- |"
            << (has_weak ? " --- |" : "") << " --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const QaRow& row : report.rows) {
    std::cout << "| " << std::defaultfloat << std::setprecision(3) << row.passages << " | ";
    if (has_weak) {
      std::cout << retriever_of(row.drop_relevant) << " | ";
    }
    std::cout << label_of(row.setting) << " | " << row.questions << " | " << figure_text(row.exact_match.estimate)
              << " | " << figure_text(row.f1.estimate) << " | " << figure_text(row.answer_log_perplexity.estimate)
              << " | " << figure_text(row.exact_match_gap) << " | " << figure_text(row.log_perplexity_gap) << " | "
              << std::fixed << std::setprecision(1) << row.prompt_positions << " |\n";
  }
  std::cout << "In brackets: 95 % bootstrap intervals over questions, " << flags.rows.resamples
            << " resamples. Gap: how much of the way from none to full. " << report.left_out
            << " questions left out, too long for the limits or the context.\n";
}

/// One chart a figure and retriever.
std::vector<SvgChart> charts_of(const QaReport& report, const RowChoice& choice) {
  struct Figure {
    const char* name;
    QaFigure QaRow::*member;
  };
  const std::size_t size = choice.settings.size();
  std::vector<double> retrievers = {0};
  for (const QaRow& row : report.rows) {
    if (row.drop_relevant > 0) {
      retrievers = {0, row.drop_relevant};
    }
  }
  std::vector<SvgChart> charts;
  for (const double drop : retrievers) {
    for (const auto& [name, member] : {Figure{"exact match", &QaRow::exact_match}, Figure{"F1", &QaRow::f1},
                                       Figure{"answer log-perplexity, nats", &QaRow::answer_log_perplexity}}) {
      std::vector<std::pair<double, std::vector<PlotRow>>> groups;  // by number of passages
      for (std::size_t n = 0; n < report.rows.size(); ++n) {
        const QaRow& row = report.rows[n];
        if (row.drop_relevant != drop) {
          continue;
        }
        if (n % size == 0) {
          groups.emplace_back(row.passages, std::vector<PlotRow>());
        }
        groups.back().second.push_back({row.setting, (row.*member).estimate});
      }
      const std::string title = message("Questions: ", name, retrievers.size() > 1 ? ", retriever " : "",
                                        retrievers.size() > 1 ? retriever_of(drop) : "");
      charts.push_back(groups.size() > 1 ? chart_by_passages(title, name, groups)
                                         : chart_by_share(title, name, groups.at(0).second));
    }
  }
  return charts;
}

int run_qa(const QaFlags& flags, bool json) {
  flags.rows.check();
  const std::vector<QaItem> items = read_questions(flags);
  const auto runner = std::make_shared<BundleRunner>(flags.model.load());
  const RowChoice choice = flags.rows.choose(runner->info());
  print_left_out(choice);
  const InterruptGuard interrupt;
  ProgressBar bar("eval qa", "questions", items.size(), flags.rows.quiet || json);
  const QaReport report = evaluate_qa(runner, items, options_of(flags, choice), [&](std::size_t done, std::size_t) {
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
    write_plot(flags.rows.plot, charts_of(report, choice));
  }
  if (report.interrupted) {
    std::cerr << "interrupted: the table is over the questions that were done\n";
  }
  return report.interrupted ? kInterrupted : kDone;
}

}  // namespace

void add_eval_qa(CLI::App& eval, CommandContext& context) {
  auto flags = std::make_shared<QaFlags>();
  CLI::App* qa =
      eval.add_subcommand("qa", "Exact match, F1 and log-perplexity of answers, by what is read of the context");
  flags->model.declare(*qa);
  qa->add_option("--data", flags->data, "JSONL: question, answers, passages, relevant; or question, answer, document")
      ->required();
  qa->add_option("--documents", flags->documents,
                 "JSONL of documents that passages are drawn from, where the data has none; by default the one "
                 "other JSONL file beside it");
  qa->add_option("--passages", flags->passages,
                 "in a prompt, the right one included; several, such as 1,2,4,8,16, make rows for each. Data with "
                 "passages of its own: all of them unless this is given")
      ->delimiter(',')
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  qa->add_option("--drop-relevant", flags->drop_relevant,
                 "a weak retriever beside the strong one: share of questions whose relevant passages are missing")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  qa->add_option("--limit", flags->limit, "questions, drawn at random; 0: all")->capture_default_str();
  flags->rows.declare(*qa);
  qa->add_option("--max-answer-tokens", flags->limits.max_answer_tokens,
                 "longer answers are left out, and none longer is decoded")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  qa->add_option("--max-passage-tokens", flags->limits.max_passage_tokens,
                 "questions with a longer passage are left out")
      ->capture_default_str();
  qa->add_flag("--json", context.json, "print the table as JSON");
  qa->footer(R"(
Ctrl-C stops after the question at hand and prints the table so far.

Examples:
  refrag eval qa --model models/refrag-tiny --data data/qa-heldout.jsonl \
      --documents data/packages-heldout.jsonl --passages 4 --limit 384 --expand 0,0.1,0.25 --by policy,random
  refrag eval qa --model models/refrag-tiny --data data/qa-heldout.jsonl --limit 200 --passages 1,2,4,8 \
      --drop-relevant 0.5 --plot qa.svg)");
  qa->callback([flags, qa, &context] {
    flags->passages_given = qa->count("--passages") > 0;
    context.command = [flags, &context] { return run_qa(*flags, context.json); };
  });
}

}  // namespace refrag::cli

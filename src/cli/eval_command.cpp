#include <CLI/CLI.hpp>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "base/progress.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/options.h"
#include "cli/print_json.h"
#include "engine/bundle_runner.h"
#include "eval/qa.h"

namespace refrag::cli {
namespace {

struct QaFlags {
  ModelFlags model;
  std::string data;
  std::string documents;
  std::size_t passages = 4;
  std::size_t limit = 0;
  std::uint64_t seed = 1;
  std::vector<std::string> modes = {"none", "refrag", "full"};
  std::vector<double> expand = {0, 0.1};
  std::vector<std::string> by = {"policy"};
  QaLimits limits;
  bool quiet = false;
};

std::vector<QaSetting> settings_of(const QaFlags& flags) {
  std::vector<QaSetting> settings;
  for (const std::string& word : flags.modes) {
    const Mode mode = parse_mode(word);
    if (mode != Mode::kRefrag) {
      settings.push_back({.mode = mode});
      continue;
    }
    for (const double share : flags.expand) {
      for (const std::string& rule : flags.by) {
        settings.push_back({.mode = mode, .expand = share, .by = parse_expand_by(rule)});
        if (share == 0 || share == 1) {
          break;  // all rules pick the same
        }
      }
    }
  }
  return settings;
}

std::string label_of(const QaSetting& setting) {
  if (setting.mode != Mode::kRefrag) {
    return name_of(setting.mode);
  }
  std::ostringstream label;
  label << "refrag, " << setting.expand * 100 << " % expanded";
  if (setting.expand > 0 && setting.expand < 1) {
    label << " by " << name_of(setting.by);
  }
  return label.str();
}

Json to_json(const QaReport& report, const QaFlags& flags) {
  Json rows = Json::array();
  for (const QaRow& row : report.rows) {
    Json json = {{"mode", name_of(row.setting.mode)},
                 {"questions", row.questions},
                 {"exact_match", row.exact_match.mean},
                 {"exact_match_error", row.exact_match.standard_error},
                 {"answer_log_perplexity", row.answer_log_perplexity.mean},
                 {"answer_log_perplexity_error", row.answer_log_perplexity.standard_error},
                 {"prompt_positions", row.prompt_positions}};
    if (row.setting.mode == Mode::kRefrag) {
      json["expand"] = row.setting.expand;
      json["by"] = name_of(row.setting.by);
    }
    rows.push_back(json);
  }
  return {{"rows", rows}, {"left_out", report.left_out}, {"passages", flags.passages}, {"seed", flags.seed}};
}

void print(const QaReport& report) {
  std::cout
      << "| mode | questions | exact match | answer log-perplexity | positions |\n| --- | --- | --- | --- | --- |\n"
      << std::fixed;
  for (const QaRow& row : report.rows) {
    std::cout << "| " << label_of(row.setting) << " | " << row.questions << " | " << std::setprecision(3)
              << row.exact_match.mean << " ± " << row.exact_match.standard_error << " | "
              << row.answer_log_perplexity.mean << " ± " << row.answer_log_perplexity.standard_error << " | "
              << std::setprecision(1) << row.prompt_positions << " |\n";
  }
  std::cout << "± one standard error; " << report.left_out
            << " questions left out, too long for the limits or the context\n";
}

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

int run_qa(const QaFlags& flags, bool json) {
  const std::vector<QaSetting> settings = settings_of(flags);
  const std::string documents = flags.documents.empty() ? documents_beside(flags.data) : flags.documents;
  std::optional<DistractorOptions> distractors;
  if (!documents.empty()) {
    distractors = DistractorOptions{documents, flags.passages, flags.seed};
  }
  const std::vector<QaItem> items = read_qa(flags.data, distractors, flags.limit, flags.seed);
  const auto runner = std::make_shared<BundleRunner>(flags.model.load());
  ProgressBar bar("eval qa", "questions", items.size(), flags.quiet || json);
  const QaReport report = evaluate_qa(runner, items, settings, flags.limits, flags.seed,
                                      [&](std::size_t done, std::size_t) { bar.update(done); });
  bar.finish();
  if (json) {
    print_json(to_json(report, flags));
  } else {
    print(report);
  }
  return kDone;
}

}  // namespace

void add_eval_command(CLI::App& app, CommandContext& context) {
  auto flags = std::make_shared<QaFlags>();
  CLI::App* eval = app.add_subcommand("eval", "Measure how good a bundle's answers are");
  eval->require_subcommand(1);
  eval->footer("\nExample:\n  refrag eval qa --model models/refrag-tiny --data data/qa-heldout.jsonl --limit 384");
  CLI::App* qa = eval->add_subcommand("qa", "Exact match and log-perplexity of answers, by mode");
  flags->model.declare(*qa);
  qa->add_option("--data", flags->data, "JSONL: question, answers, passages, relevant; or question, answer, document")
      ->required();
  qa->add_option("--documents", flags->documents,
                 "JSONL of documents that passages are drawn from, where the data has none; by default the one "
                 "other JSONL file beside it");
  qa->add_option("--passages", flags->passages, "in a prompt, the right one included")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  qa->add_option("--limit", flags->limit, "questions, drawn at random; 0: all")->capture_default_str();
  qa->add_option("--seed", flags->seed, "of what is drawn")->capture_default_str();
  qa->add_option("--modes", flags->modes, "none, refrag, full")->delimiter(',')->capture_default_str();
  qa->add_option("--expand", flags->expand, "shares of the chunks to expand, mode refrag")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  qa->add_option("--by", flags->by, "policy, random, first, similarity")
      ->delimiter(',')
      ->check(CLI::IsMember({"policy", "random", "first", "similarity"}))
      ->capture_default_str();
  qa->add_option("--max-answer-tokens", flags->limits.max_answer_tokens, "longer answers are left out")
      ->capture_default_str();
  qa->add_option("--max-passage-tokens", flags->limits.max_passage_tokens,
                 "questions with a longer passage are left out")
      ->capture_default_str();
  qa->add_flag("--quiet", flags->quiet, "no progress bar");
  qa->add_flag("--json", context.json, "print the table as JSON");
  qa->footer(R"(
Example:
  refrag eval qa --model models/refrag-tiny --data data/qa-heldout.jsonl \
      --documents data/packages-heldout.jsonl --passages 4 --limit 384 --expand 0,0.1,0.25 --by policy,random)");
  qa->callback([flags, &context] { context.command = [flags, &context] { return run_qa(*flags, context.json); }; });
}

}  // namespace refrag::cli

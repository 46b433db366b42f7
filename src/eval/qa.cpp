#include "eval/qa.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "base/message.h"
#include "engine/preparation.h"
#include "engine/sampler.h"
#include "eval/answer_judge.h"
#include "eval/qa_prompt.h"
#include "refrag/error.h"

namespace refrag {
namespace {

/// The passages of a group of rows: how many, and found by which retriever.
struct PassageSet {
  std::optional<std::size_t> count;
  double drop_relevant = 0;
};

std::vector<PassageSet> passage_sets(const QaOptions& options) {
  std::vector<PassageSet> sets;
  for (const std::optional<std::size_t>& count : options.passages) {
    sets.push_back({count, 0});
    if (options.drop_relevant > 0) {
      sets.push_back({count, options.drop_relevant});
    }
  }
  return sets;
}

/// One question in one row.
struct QuestionResult {
  JudgedAnswer answer;
  std::size_t passages = 0;
  std::size_t positions = 0;
};

class QaEvaluation {
 public:
  QaEvaluation(const std::shared_ptr<ModelRunner>& runner, const QaOptions& options)
      : runner_(std::make_shared<EncodeOnce>(runner)),
        options_(options),
        sets_(passage_sets(options)),
        preparation_(runner_, nullptr, runner_->info().context_length,
                     [] { return LatencyModel(); }),  // never asked: no setting has a ttft_ms
        judge_(*runner_, options.limits.max_answer_tokens) {}

  /// One result a row, or nothing for a question that is left out: rows over other questions would not compare.
  std::optional<std::vector<QuestionResult>> judge(const QaItem& item, std::size_t number) {
    runner_->forget();
    if (!within_limits(item)) {
      return std::nullopt;
    }
    try {
      std::vector<QuestionResult> results;
      std::optional<JudgedPrompt> without_passages;  // the same in every set
      for (const PassageSet& set : sets_) {
        const std::vector<InlinePassage> passages = choose_passages(item, choice_of(set, number));
        QaPrompts prompts(*runner_, preparation_, item.question, passages, options_.seed + number);
        for (const EvalSetting& setting : options_.settings) {
          const bool is_none = setting.mode == EvalMode::kNone;
          const JudgedPrompt judged =
              is_none && without_passages ? *without_passages : judge(prompts.write(setting), item);
          if (is_none) {
            without_passages = judged;
          }
          results.push_back({judged.answer, passages.size(), judged.positions});
        }
      }
      return results;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kContextLengthExceeded) {
        throw;
      }
      too_long_ = error.what();
      return std::nullopt;
    }
  }

  const std::vector<PassageSet>& sets() const { return sets_; }
  const std::string& too_long() const { return too_long_; }  // why a question exceeded the context, the last one

 private:
  struct JudgedPrompt {
    JudgedAnswer answer;
    std::size_t positions = 0;
  };

  JudgedPrompt judge(const QaPrompt& prompt, const QaItem& item) const {
    return {judge_.judge(prompt, item.answers), prompt.entries.size()};
  }

  /// Whether a question's passages are missing depends on the seed and its number alone, and those that a small share
  /// misses a larger one misses too.
  PassageChoice choice_of(const PassageSet& set, std::size_t number) const {
    return {set.count, uniform_at(options_.seed, number) < set.drop_relevant};
  }

  bool within_limits(const QaItem& item) const {
    const auto fits = [&](const InlinePassage& passage) {
      return runner_->info().tokenizer->encode(passage.text).size() <= options_.limits.max_passage_tokens;
    };
    return judge_.answer_ids(item.answers.front()).size() <= options_.limits.max_answer_tokens &&
           std::all_of(item.passages.begin(), item.passages.end(), fits) &&
           (options_.drop_relevant == 0 || std::all_of(item.spare.begin(), item.spare.end(), fits));
  }

  std::shared_ptr<EncodeOnce> runner_;
  const QaOptions& options_;
  std::vector<PassageSet> sets_;
  Preparation preparation_;
  AnswerJudge judge_;
  std::string too_long_;
};

/// The results of one row, a value a question.
struct RowColumns {
  std::vector<double> exact, f1, losses, tokens;
  double passages = 0;
  double positions = 0;

  void add(const QuestionResult& result) {
    exact.push_back(result.answer.exact ? 1 : 0);
    f1.push_back(result.answer.f1);
    losses.push_back(result.answer.negative_log_likelihood);
    tokens.push_back(static_cast<double>(result.answer.tokens));
    passages += static_cast<double>(result.passages);
    positions += static_cast<double>(result.positions);
  }
};

/// Standard error of a ratio of sums over questions, whose tokens are not independent.
double ratio_error(const std::vector<double>& sums, const std::vector<double>& counts, double mean) {
  double squares = 0;
  double total = 0;
  for (std::size_t n = 0; n < sums.size(); ++n) {
    const double residual = sums[n] - mean * counts[n];
    squares += residual * residual;
    total += counts[n];
  }
  const auto n = static_cast<double>(sums.size());
  return n > 1 ? std::sqrt(squares * n / (n - 1)) / total : 0;
}

/// What the resamples say of one row.
struct RowFigures {
  Resampled exact_match, f1, log_perplexity;
};

std::vector<RowFigures> resample(const std::vector<RowColumns>& rows, const QaOptions& options) {
  std::vector<std::vector<double>> columns;
  for (const RowColumns& row : rows) {
    columns.insert(columns.end(), {row.exact, row.f1, row.losses, row.tokens});
  }
  columns.emplace_back(rows.front().exact.size(), 1.0);
  const std::vector<Resampled> sums = resampled_sums(columns, options.resamples, options.seed);
  std::vector<RowFigures> figures;
  for (std::size_t n = 0; n < rows.size(); ++n) {
    const Resampled* row = &sums[4 * n];
    figures.push_back({ratio(row[0], sums.back()), ratio(row[1], sums.back()), ratio(row[2], row[3])});
  }
  return figures;
}

std::optional<std::size_t> find_mode(const std::vector<EvalSetting>& settings, EvalMode mode) {
  const auto found =
      std::find_if(settings.begin(), settings.end(), [mode](const EvalSetting& s) { return s.mode == mode; });
  return found == settings.end() ? std::nullopt : std::optional(static_cast<std::size_t>(found - settings.begin()));
}

/// A row without its gaps, which other rows decide.
QaRow make_row(const RowColumns& columns, const RowFigures& figures) {
  const auto questions = static_cast<double>(columns.exact.size());
  const std::vector<double> ones(columns.exact.size(), 1.0);
  QaRow row;
  row.questions = columns.exact.size();
  row.passages = columns.passages / questions;
  row.prompt_positions = columns.positions / questions;
  row.exact_match.estimate = estimate(figures.exact_match);
  const double share = row.exact_match.estimate.value;
  row.exact_match.standard_error = std::sqrt(share * (1 - share) / questions);
  row.f1.estimate = estimate(figures.f1);
  row.f1.standard_error = ratio_error(columns.f1, ones, row.f1.estimate.value);
  row.answer_log_perplexity.estimate = estimate(figures.log_perplexity);
  row.answer_log_perplexity.standard_error =
      ratio_error(columns.losses, columns.tokens, row.answer_log_perplexity.estimate.value);
  return row;
}

std::vector<QaRow> make_rows(const std::vector<RowColumns>& columns, const std::vector<PassageSet>& sets,
                             const QaOptions& options) {
  const std::vector<RowFigures> figures = resample(columns, options);
  const std::optional<std::size_t> none = find_mode(options.settings, EvalMode::kNone);
  const std::optional<std::size_t> full = find_mode(options.settings, EvalMode::kFull);
  const std::size_t settings = options.settings.size();
  std::vector<QaRow> rows;
  for (std::size_t n = 0; n < columns.size(); ++n) {
    rows.push_back(make_row(columns[n], figures[n]));
    QaRow& row = rows.back();
    row.setting = options.settings[n % settings];
    row.drop_relevant = sets[n / settings].drop_relevant;
    if (none && full) {
      const std::size_t first = n - n % settings;  // of the rows over the same passages
      const RowFigures& worst = figures[first + *none];
      const RowFigures& best = figures[first + *full];
      row.exact_match_gap = gap_estimate(worst.exact_match, figures[n].exact_match, best.exact_match, false);
      row.log_perplexity_gap = gap_estimate(worst.log_perplexity, figures[n].log_perplexity, best.log_perplexity, true);
    }
  }
  return rows;
}

}  // namespace

QaReport evaluate_qa(const std::shared_ptr<ModelRunner>& runner, const std::vector<QaItem>& items,
                     const QaOptions& options,
                     const std::function<bool(std::size_t done, std::size_t total)>& on_progress) {
  QaEvaluation evaluation(runner, options);
  std::vector<RowColumns> columns(evaluation.sets().size() * options.settings.size());
  QaReport report;
  for (std::size_t n = 0; n < items.size() && !report.interrupted; ++n) {
    if (const auto results = evaluation.judge(items[n], n)) {
      for (std::size_t row = 0; row < columns.size(); ++row) {
        columns[row].add((*results)[row]);
      }
    } else {
      ++report.left_out;
    }
    report.interrupted = on_progress && !on_progress(n + 1, items.size());
  }
  if (columns.empty()) {
    return report;
  }
  if (!columns[0].exact.empty()) {
    report.rows = make_rows(columns, evaluation.sets(), options);
  } else if (!report.interrupted) {
    throw Error(ErrorCode::kInvalidArgument,
                message("all ", report.left_out, " questions are left out: ",
                        evaluation.too_long().empty() ? "their answers or passages are longer than the limits"
                                                      : evaluation.too_long()),
                "--data");
  }
  return report;
}

}  // namespace refrag

#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "eval/bootstrap.h"
#include "eval/qa_data.h"
#include "eval/setting.h"

namespace refrag {

class ModelRunner;

struct QaLimits {
  std::size_t max_answer_tokens = 24;   // questions with a longer first answer are left out; none longer is decoded
  std::size_t max_passage_tokens = 96;  // questions with a longer passage are left out
};

struct QaOptions {
  std::vector<EvalSetting> settings;
  /// Passages in a prompt: every setting once for each. Absent: all that a question has.
  std::vector<std::optional<std::size_t>> passages = {std::nullopt};
  /// The weak retriever's share of questions whose relevant passages are missing. Above 0: every setting once with the
  /// strong retriever, which misses none, and once with the weak one.
  double drop_relevant = 0;
  QaLimits limits = {};
  std::uint64_t seed = 1;
  std::size_t resamples = 1000;  // of the bootstrap
};

/// A figure, its bootstrap interval over questions, and its standard error.
struct QaFigure {
  Estimate estimate;
  double standard_error = 0;
};

struct QaRow {
  EvalSetting setting;
  double passages = 0;  // a question, mean
  double drop_relevant = 0;
  std::size_t questions = 0;
  QaFigure exact_match;            // share of questions whose answer greedy decoding gives, 0 to 1
  QaFigure f1;                     // of words, 0 to 1, mean
  QaFigure answer_log_perplexity;  // nats a token of the first answer, its end (any EOS) included; mean over tokens
  /// How much of the way from none to full, 1 being all of it; absent where the table lacks one of the two rows or full
  /// context is no better.
  std::optional<Estimate> exact_match_gap;
  std::optional<Estimate> log_perplexity_gap;
  double prompt_positions = 0;  // mean
};

struct QaReport {
  std::vector<QaRow> rows;
  std::size_t left_out = 0;  // questions, by the limits or because a setting's prompt and answer exceed the context
  bool interrupted = false;  // rows are over the questions that were done by then
};

/// Answers every question in every setting, teacher-forced: the answer is judged in the forward pass that reads it,
/// which finds the same exact matches as greedy decoding. Passages stand in the order of the data. Every row is over
/// the same questions. `on_progress` returns false to stop. Throws as Engine does for a setting that the model cannot
/// do, and kInvalidArgument where no question is left.
QaReport evaluate_qa(const std::shared_ptr<ModelRunner>& runner, const std::vector<QaItem>& items,
                     const QaOptions& options,
                     const std::function<bool(std::size_t done, std::size_t total)>& on_progress = {});

}  // namespace refrag

#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "eval/qa_data.h"
#include "refrag/query.h"

namespace refrag {

class ModelRunner;

/// One way to answer: a row of the table.
struct QaSetting {
  Mode mode = Mode::kRefrag;
  double expand = 0;  // share of the chunks, mode refrag
  ExpandBy by = ExpandBy::kPolicy;
};

struct Estimate {
  double mean = 0;
  double standard_error = 0;
};

struct QaRow {
  QaSetting setting;
  std::size_t questions = 0;
  Estimate exact_match;            // share of questions whose answer greedy decoding gives, 0 to 1
  Estimate answer_log_perplexity;  // nats a token of the first answer, its end (any EOS) included; mean over tokens
  double prompt_positions = 0;     // mean
};

struct QaLimits {
  std::size_t max_answer_tokens = 24;   // questions with a longer first answer are left out
  std::size_t max_passage_tokens = 96;  // questions with a longer passage are left out
};

struct QaReport {
  std::vector<QaRow> rows;
  std::size_t left_out = 0;  // questions, by the limits or because a setting's prompt and answer exceed the context
};

/// Answers every question in every setting, teacher-forced: the answer is judged in the forward pass that reads it,
/// which finds the same exact matches as greedy decoding. Passages stand in the order of the data. Every row is over
/// the same questions. Throws as Engine does for a setting that the model cannot do.
QaReport evaluate_qa(const std::shared_ptr<ModelRunner>& runner, const std::vector<QaItem>& items,
                     const std::vector<QaSetting>& settings, const QaLimits& limits, std::uint64_t seed,
                     const std::function<void(std::size_t done, std::size_t total)>& on_progress = {});

}  // namespace refrag

#include "eval/qa.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "base/message.h"
#include "engine/model_runner.h"
#include "engine/phase_clock.h"
#include "engine/preparation.h"
#include "engine/query_check.h"
#include "engine/sampler.h"
#include "refrag/error.h"

namespace refrag {
namespace {

/// A sequence of the runner that is closed with the scope.
class OpenSequence {
 public:
  OpenSequence(ModelRunner& runner, std::size_t positions) : runner_(runner), id_(runner.open_sequence(positions)) {}
  OpenSequence(const OpenSequence&) = delete;
  OpenSequence& operator=(const OpenSequence&) = delete;
  ~OpenSequence() { runner_.close_sequence(id_); }
  SequenceId id() const { return id_; }

 private:
  ModelRunner& runner_;
  SequenceId id_;
};

struct Judged {
  bool exact = false;
  double negative_log_likelihood = 0;  // of all tokens together
  std::size_t tokens = 0;
};

/// One question in one setting.
struct QuestionResult {
  Judged first;  // of its answers
  bool any_exact = false;
  std::size_t positions = 0;
};

/// Sums over questions, and what their spread says of the mean.
class RowSums {
 public:
  void add(const QuestionResult& result) {
    ++questions_;
    exact_ += result.any_exact ? 1 : 0;
    losses_.emplace_back(result.first.negative_log_likelihood, result.first.tokens);
    positions_ += static_cast<double>(result.positions);
  }

  QaRow row(const QaSetting& setting) const {
    QaRow row{.setting = setting, .questions = questions_, .exact_match = {}, .answer_log_perplexity = {}};
    if (questions_ == 0) {
      return row;
    }
    const auto n = static_cast<double>(questions_);
    const double share = static_cast<double>(exact_) / n;
    row.exact_match = {share, std::sqrt(share * (1 - share) / n)};
    row.answer_log_perplexity = loss();
    row.prompt_positions = positions_ / n;
    return row;
  }

 private:
  /// Mean over tokens; the error is a ratio estimator's over questions, whose tokens are not independent.
  Estimate loss() const {
    double sum = 0;
    double tokens = 0;
    for (const auto& [loss, count] : losses_) {
      sum += loss;
      tokens += static_cast<double>(count);
    }
    const double mean = sum / tokens;
    double squares = 0;
    for (const auto& [loss, count] : losses_) {
      const double residual = loss - mean * static_cast<double>(count);
      squares += residual * residual;
    }
    const auto n = static_cast<double>(losses_.size());
    return {mean, n > 1 ? std::sqrt(squares * n / (n - 1)) / tokens : 0};
  }

  std::size_t questions_ = 0;
  std::size_t exact_ = 0;
  double positions_ = 0;
  std::vector<std::pair<double, std::size_t>> losses_;
};

class QaEvaluation {
 public:
  explicit QaEvaluation(std::shared_ptr<ModelRunner> runner)
      : runner_(std::move(runner)), preparation_(runner_, nullptr, runner_->info().context_length, [] {
          return LatencyModel();  // never asked: no setting has a ttft_ms
        }) {
    const std::vector<TokenId>& ids = runner_->info().eos_ids;
    eos_ids_.insert(ids.begin(), ids.end());
    if (eos_ids_.empty()) {
      throw Error(ErrorCode::kUnsupported, "the model names no EOS token, so an answer's end cannot be judged");
    }
  }

  /// One result a setting, or nothing for a question that is left out: rows over other questions would not compare.
  std::optional<std::vector<QuestionResult>> judge(const QaItem& item, const std::vector<QaSetting>& settings,
                                                   const QaLimits& limits, std::uint64_t seed) const {
    if (!within(item, limits)) {
      return std::nullopt;
    }
    std::vector<QuestionResult> results;
    try {
      for (const QaSetting& setting : settings) {
        results.push_back(judge(item, setting, seed));
      }
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kContextLengthExceeded) {
        throw;
      }
      return std::nullopt;
    }
    return results;
  }

 private:
  std::vector<TokenId> answer_ids(const std::string& answer) const {
    const ModelInfo& info = runner_->info();
    std::string text;
    for (const TemplatePart& part : split_template(info.prompt.answer, {"answer"})) {
      text += part.kind == TemplatePart::Kind::kLiteral ? part.text : answer;
    }
    return info.tokenizer->encode(text);
  }

  bool within(const QaItem& item, const QaLimits& limits) const {
    const auto fits = [&](const InlinePassage& passage) {
      return runner_->info().tokenizer->encode(passage.text).size() <= limits.max_passage_tokens;
    };
    return answer_ids(item.answers.front()).size() <= limits.max_answer_tokens &&
           std::all_of(item.passages.begin(), item.passages.end(), fits);
  }

  QuestionResult judge(const QaItem& item, const QaSetting& setting, std::uint64_t seed) const {
    Query query;
    query.question = item.question;
    query.mode = setting.mode;
    query.passages = item.passages;
    query.order = PassageOrder::kBestFirst;  // as they stand in the data
    query.sampling.seed = seed;
    query.explain = false;
    if (setting.mode == Mode::kRefrag) {
      query.expand.fraction = setting.expand;
      query.expand.by = setting.by;
    }
    check_query(query, runner_->info(), EngineConfig{});  // else a row could stand for a rule that was not run
    PhaseClock clock(Clock::now());
    const PreparedRequest prepared = preparation_.prepare(query, clock, [] {});
    QuestionResult result;
    result.first = judge(prepared, answer_ids(item.answers.front()));
    result.any_exact = result.first.exact;
    for (std::size_t n = 1; n < item.answers.size() && !result.any_exact; ++n) {
      result.any_exact = judge(prepared, answer_ids(item.answers[n])).exact;
    }
    result.positions = prepared.input.length();
    return result;
  }

  Judged judge(const PreparedRequest& prepared, const std::vector<TokenId>& answer) const {
    MixedInput input = prepared.input;
    input.add_tokens(answer);
    require_context(input.length());
    const OpenSequence sequence(*runner_, input.length());
    const StepInput step{.sequence = sequence.id(),
                         .start = 0,
                         .entries = input.entries(),
                         .vectors = &prepared.projected,
                         .logits_of_last = answer.size() + 1};
    const Matrix logits = runner_->step({&step, 1}).front();
    Judged judged{.exact = true, .tokens = answer.size() + 1};
    for (std::size_t n = 0; n < answer.size(); ++n) {
      judged.negative_log_likelihood -= RawDistribution(logits.row(n)).logprob(answer[n]);
      judged.exact = judged.exact && pick_token(logits.row(n), {}, {}, n) == answer[n];
    }
    const auto end = logits.row(answer.size());
    judged.negative_log_likelihood -= end_logprob(end);
    judged.exact = judged.exact && eos_ids_.contains(pick_token(end, {}, {}, answer.size()));
    return judged;
  }

  /// Generation ends at any of the EOS tokens, so the probability of an end is that of all of them together.
  double end_logprob(std::span<const float> logits) const {
    const RawDistribution distribution(logits);
    std::vector<double> logprobs;
    for (const TokenId id : eos_ids_) {
      logprobs.push_back(distribution.logprob(id));
    }
    const double best = *std::max_element(logprobs.begin(), logprobs.end());  // taken off first: exp must not underflow
    double sum = 0;
    for (const double logprob : logprobs) {
      sum += std::exp(logprob - best);
    }
    return best + std::log(sum);
  }

  void require_context(std::size_t positions) const {
    const std::size_t most = runner_->info().context_length;
    if (positions > most) {
      throw Error(ErrorCode::kContextLengthExceeded,
                  message("prompt and answer have ", positions, " positions; the context length is ", most));
    }
  }

  std::shared_ptr<ModelRunner> runner_;
  Preparation preparation_;
  std::set<TokenId> eos_ids_;
};

}  // namespace

QaReport evaluate_qa(const std::shared_ptr<ModelRunner>& runner, const std::vector<QaItem>& items,
                     const std::vector<QaSetting>& settings, const QaLimits& limits, std::uint64_t seed,
                     const std::function<void(std::size_t done, std::size_t total)>& on_progress) {
  const QaEvaluation evaluation(runner);
  std::vector<RowSums> sums(settings.size());
  QaReport report;
  for (std::size_t n = 0; n < items.size(); ++n) {
    if (const auto results = evaluation.judge(items[n], settings, limits, seed + n)) {
      for (std::size_t s = 0; s < settings.size(); ++s) {
        sums[s].add((*results)[s]);
      }
    } else {
      ++report.left_out;
    }
    if (on_progress) {
      on_progress(n + 1, items.size());
    }
  }
  for (std::size_t s = 0; s < settings.size(); ++s) {
    report.rows.push_back(sums[s].row(settings[s]));
  }
  return report;
}

}  // namespace refrag

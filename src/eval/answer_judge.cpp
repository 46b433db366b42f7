#include "eval/answer_judge.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/message.h"
#include "engine/sampler.h"
#include "eval/answer_match.h"
#include "eval/scoring.h"
#include "refrag/error.h"

namespace refrag {

/// What the model says of a right answer that it is made to read.
struct AnswerJudge::Path {
  std::vector<TokenId> said;  // by greedy decoding, as far as it is known; without an end
  bool has_ended = false;     // `said` is all of it
  bool exact = false;
  double negative_log_likelihood = 0;
};

AnswerJudge::AnswerJudge(ModelRunner& runner, std::size_t max_tokens) : runner_(runner), max_tokens_(max_tokens) {
  const std::vector<TokenId>& ids = runner_.info().eos_ids;
  eos_ids_.insert(ids.begin(), ids.end());
  if (eos_ids_.empty()) {
    throw Error(ErrorCode::kUnsupported, "the model names no EOS token, so an answer's end cannot be judged");
  }
}

std::vector<TokenId> AnswerJudge::answer_ids(const std::string& answer) const {
  const ModelInfo& info = runner_.info();
  std::string text;
  for (const TemplatePart& part : split_template(info.prompt.answer, {"answer"})) {
    text += part.kind == TemplatePart::Kind::kLiteral ? part.text : answer;
  }
  return info.tokenizer->encode(text);
}

JudgedAnswer AnswerJudge::judge(const QaPrompt& prompt, const std::vector<std::string>& answers) const {
  const OpenSequence sequence(runner_, prompt.entries.size() + max_tokens_);
  JudgedAnswer judged;
  std::vector<TokenId> said;
  bool has_ended = false;
  for (std::size_t n = 0; n < answers.size() && !judged.exact; ++n) {
    const std::vector<TokenId> answer = answer_ids(answers[n]);
    const Path path = follow(sequence.id(), prompt, answer, n == 0);
    judged.exact = path.exact;
    if (n == 0) {
      judged.negative_log_likelihood = path.negative_log_likelihood;
      judged.tokens = answer.size() + 1;
    }
    if (n == 0 || path.has_ended || path.said.size() > said.size()) {
      said = path.said;  // every path knows a beginning of the same text
      has_ended = path.has_ended;
    }
  }
  if (judged.exact) {
    judged.f1 = 1;
    return judged;
  }
  const std::vector<TokenId> whole = has_ended ? said : decode(sequence.id(), prompt, std::move(said));
  const std::string text = runner_.info().tokenizer->decode(whole);
  for (const std::string& answer : answers) {
    judged.f1 = std::max(judged.f1, token_f1(text, answer));
  }
  return judged;
}

AnswerJudge::Path AnswerJudge::follow(SequenceId sequence, const QaPrompt& prompt, const std::vector<TokenId>& answer,
                                      bool is_first) const {
  std::vector<Entry> entries = prompt.entries;
  for (const TokenId id : answer) {
    entries.push_back({.token = id});
  }
  const std::size_t most = runner_.info().context_length;
  if (entries.size() > most) {
    throw Error(ErrorCode::kContextLengthExceeded,
                message("prompt and answer have ", entries.size(), " positions; the context length is ", most));
  }
  const std::size_t start = is_first ? 0 : prompt.entries.size() - 1;  // the prompt is there from the first answer on
  const StepInput step{.sequence = sequence,
                       .start = start,
                       .entries = std::span(entries).subspan(start),
                       .vectors = &prompt.vectors,
                       .logits_of_last = answer.size() + 1};
  const Matrix logits = runner_.step({&step, 1}).front();

  Path path;
  bool agrees = true;
  for (std::size_t n = 0; n <= answer.size(); ++n) {
    const auto row = logits.row(n);
    const bool is_last = n == answer.size();
    path.negative_log_likelihood -= is_last ? end_logprob(row) : RawDistribution(row).logprob(answer[n]);
    if (!agrees) {
      continue;
    }
    const TokenId picked = pick_token(row, {}, {}, n);
    path.has_ended = is_end(picked);
    path.exact = is_last && path.has_ended;
    agrees = !is_last && !path.has_ended && picked == answer[n];
    if (!path.has_ended) {
      path.said.push_back(picked);
    }
  }
  return path;
}

/// Goes on from `said`, which is not empty, to the model's end, or to the longest answer that is decoded.
std::vector<TokenId> AnswerJudge::decode(SequenceId sequence, const QaPrompt& prompt, std::vector<TokenId> said) const {
  const std::size_t longest = std::min(max_tokens_, runner_.info().context_length - prompt.entries.size());
  std::size_t computed = 0;  // of `said`; what stands behind the prompt may be another answer
  while (said.size() < longest) {
    std::vector<Entry> next;
    for (std::size_t n = computed; n < said.size(); ++n) {
      next.push_back({.token = said[n]});
    }
    const StepInput step{.sequence = sequence,
                         .start = prompt.entries.size() + computed,
                         .entries = next,
                         .vectors = &prompt.vectors,
                         .logits_of_last = 1};
    const TokenId picked = pick_token(runner_.step({&step, 1}).front().row(0), {}, {}, said.size());
    if (is_end(picked)) {
      break;
    }
    computed = said.size();
    said.push_back(picked);
  }
  return said;
}

/// Generation ends at any of the EOS tokens, so the probability of an end is that of all of them together.
double AnswerJudge::end_logprob(std::span<const float> logits) const {
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

}  // namespace refrag

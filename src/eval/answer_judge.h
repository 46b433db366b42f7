#pragma once
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/model_runner.h"
#include "eval/qa_prompt.h"

namespace refrag {

/// How good the answers to one question are.
struct JudgedAnswer {
  bool exact = false;                  // greedy decoding gives one of the right answers, token by token
  double f1 = 0;                       // of what greedy decoding gives, with the right answer that it is nearest to
  double negative_log_likelihood = 0;  // nats, of the first right answer's tokens and its end together
  std::size_t tokens = 0;              // of it, the end included
};

/// Judges answers by teacher forcing, which finds the same exact matches as greedy decoding; decodes only from where a
/// right answer and the model part.
class AnswerJudge {
 public:
  /// `max_tokens`: the longest answer that is decoded. Throws kUnsupported for a model without an EOS token.
  AnswerJudge(ModelRunner& runner, std::size_t max_tokens);

  /// The tokens that stand for an answer behind the prompt, its end left out.
  std::vector<TokenId> answer_ids(const std::string& answer) const;
  /// `answers`: at least one. Throws kContextLengthExceeded.
  JudgedAnswer judge(const QaPrompt& prompt, const std::vector<std::string>& answers) const;

 private:
  struct Path;
  Path follow(SequenceId sequence, const QaPrompt& prompt, const std::vector<TokenId>& answer, bool is_first) const;
  std::vector<TokenId> decode(SequenceId sequence, const QaPrompt& prompt, std::vector<TokenId> said) const;
  bool is_end(TokenId id) const { return eos_ids_.contains(id); }
  double end_logprob(std::span<const float> logits) const;

  ModelRunner& runner_;
  std::size_t max_tokens_;
  std::set<TokenId> eos_ids_;
};

}  // namespace refrag

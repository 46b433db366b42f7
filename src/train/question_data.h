#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "engine/model_runner.h"
#include "engine/prompt.h"
#include "train/config.h"
#include "train/draw.h"
#include "train/text_data.h"
#include "train/token_shards.h"

namespace refrag::train {

/// A passage as prompts have it: its text's tokens, and those around it (title and what else the template says).
struct Passage {
  std::vector<TokenId> before;
  std::vector<TokenId> behind;
  std::vector<TokenId> text;
};

/// A question as prompts have it, laid out by the very PromptWriter that serves.
struct Question {
  using PassageNumber = std::uint32_t;
  std::vector<TokenId> before;  // the prompt in front of the passages, BOS included
  std::vector<TokenId> behind;  // and behind them
  std::vector<TokenId> bare;    // the whole prompt without passages
  std::vector<TokenId> answer;  // as it follows the prompt, without EOS
  std::vector<TokenId> query;   // what the policy reads
  std::vector<PassageNumber> relevant;
  bool needs_all = false;                  // of the relevant ones; else any of them will do (parts of one document)
  std::vector<PassageNumber> distractors;  // what else the data puts beside them
  std::vector<std::pair<PassageNumber, std::uint32_t>> answer_chunks;  // passage and chunk that hold an answer's words
};

/// Questions with passages, tokenized once, and each passage once, however many questions bring it. Contexts are drawn:
/// the right passage among the others that the data puts beside it, then random ones.
class QuestionData {
 public:
  /// `model`: of whoever will serve: its tokenizer, templates and chunk size.
  QuestionData(const DataConfig& config, const ModelInfo& model, const OnPrepared& on_prepared = {});

  std::uint64_t questions() const { return questions_.size(); }
  std::uint64_t passages() const { return passages_.size(); }
  std::uint64_t tokens() const { return passages_.numbers() + questions_.numbers(); }
  Question question(std::uint64_t n) const;
  Passage passage(std::uint64_t n) const;
  /// What stands between two passages.
  const std::vector<TokenId>& separator() const { return separator_; }
  /// The questions in the shuffled order of a pass: `place` counts on over passes.
  std::uint64_t shuffled_question(std::uint64_t place, std::uint64_t seed) const;

  struct Context {
    std::vector<Question::PassageNumber> passages;  // in the order of the prompt
    std::vector<std::uint64_t> questions;           // the one that was asked for first
  };
  /// A context of `passages` for the question, and up to `questions` in all about its passages. Without `with_right`
  /// none of them is relevant to the first. A question to which no passage is relevant (the data's refusals) has those
  /// that the data gives it alone.
  Context draw_context(std::uint64_t question, std::size_t passages, std::size_t questions, bool with_right,
                       Draw& draw) const;

  /// An answer's tokens, as the model's template has it.
  static std::vector<TokenId> answer_tokens(const std::string& answer, const ModelInfo& model);

 private:
  void index_questions();

  TokenShards passages_;
  TokenShards questions_;
  std::vector<TokenId> separator_;
  std::vector<std::uint64_t> about_begin_;  // by passage, into about_
  std::vector<std::uint32_t> about_;        // questions
};

}  // namespace refrag::train

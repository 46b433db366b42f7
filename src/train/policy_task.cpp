// policy: which chunks deserve their tokens back, learnt from what that does to the answer (GRPO; PAPER, section 2).
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <span>
#include <utility>

#include "base/message.h"
#include "engine/budget.h"
#include "refrag/error.h"
#include "train/grpo.h"
#include "train/question_layout.h"
#include "train/task.h"

namespace refrag::train {
namespace {

/// A question over its passages, as the policy sees it, and what it answers.
struct PolicyState {
  Question question;
  QuestionLayout layout;
  std::vector<TokenId> said;    // the part of the answer that stands there already
  std::vector<TokenId> answer;  // what is left of it, EOS included
  at::Tensor vectors;           // [L, d_enc] of the chunks
  at::Tensor projected;         // [L, d]
  at::Tensor query;             // [Q, d_enc] or, where the policy reads projected vectors, [Q, d]
  std::size_t picks = 0;        // T
  std::uint64_t number = 0;     // among those of the step, or of the evaluation, of all processes
};

/// Selections of one state, and what they were worth.
struct Rollout {
  at::Tensor picks;          // [G, T]
  at::Tensor old_log_probs;  // [G, T]
  at::Tensor rewards;        // [G]
};

std::span<const float> floats_of(const at::Tensor& tensor) {
  return {tensor.const_data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

std::vector<bool> as_mask(std::span<const std::int64_t> picks, std::size_t chunks) {
  std::vector<bool> expanded(chunks, false);
  for (const std::int64_t pick : picks) expanded[static_cast<std::size_t>(pick)] = true;
  return expanded;
}

std::vector<std::int64_t> best_first(const at::Tensor& scores, std::size_t count) {
  const at::Tensor order = at::argsort(scores, /*stable=*/true, /*dim=*/0, /*descending=*/true).cpu().contiguous();
  const auto* first = order.const_data_ptr<std::int64_t>();
  return {first, first + std::min<std::ptrdiff_t>(static_cast<std::ptrdiff_t>(count), order.numel())};
}

class PolicyTask : public Task {
 public:
  PolicyTask(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
             const OnPrepared& on_prepared)
      : config_(config), model_(model), group_(group), data_(config.data, model.info(), on_prepared) {
    if (!model.has_encoder()) {
      throw Error(ErrorCode::kUnsupported, "the stage policy needs a bundle with an encoder and a projector");
    }
    // The last questions of the file are kept apart for evaluation.
    const std::uint64_t all = data_.questions();
    held_out_ = std::min<std::uint64_t>(static_cast<std::uint64_t>(config.policy.evaluation_questions), all / 5);
    if (all == held_out_) {
      throw Error(ErrorCode::kInvalidArgument, "data.questions holds too few questions", "data.questions");
    }
  }

  void begin(std::uint64_t step) override {
    forget_states();
    rollouts_.clear();
    tokens_ = 0;
    is_warm_ = step < static_cast<std::uint64_t>(config_.policy.warm_steps);
    const at::NoGradGuard no_gradients;
    const std::uint64_t trained_on = data_.questions() - held_out_;
    std::uint64_t unusable = 0;
    while (usable_ < static_cast<std::uint64_t>(config_.policy.questions)) {
      const std::uint64_t n = next_++;
      const std::uint64_t usable_before = usable_;
      Draw draw({config_.run.seed, n});
      const std::uint64_t key = Draw({config_.run.seed, n / trained_on}).next();
      add_state(shuffled(n % trained_on, trained_on, key), draw);
      unusable = usable_ > usable_before ? 0 : unusable + 1;
      if (unusable == trained_on) {
        throw Error(ErrorCode::kInvalidArgument,
                    message("none of the ", trained_on, " questions has a passage and a prompt within the decoder's ",
                            model_.decoder().config().max_positions, " positions"),
                    "data.questions");
      }
    }
    if (!is_warm_) roll_out(step);
  }

  std::int64_t updates() const override { return is_warm_ ? 1 : config_.policy.updates; }

  double compute_gradients(std::int64_t) override {
    std::vector<at::Tensor> losses;
    for (std::size_t n = 0; n < states_.size(); ++n) {
      const PolicyState& state = states_[n];
      if (is_warm_) {
        const std::vector<std::size_t> holding = state.layout.answer_chunks(state.question);
        if (holding.empty()) continue;
        const std::vector<std::int64_t> rows(holding.begin(), holding.end());
        losses.push_back(-at::log_softmax(score(state), 0).index_select(0, at::tensor(rows, at::kLong)).mean());
      } else {
        const Rollout& rollout = rollouts_[n];
        losses.push_back(clipped_loss(pick_log_probs(score(state), rollout.picks), rollout.old_log_probs,
                                      advantages_of(rollout), config_.policy.clip));
      }
    }
    if (losses.empty()) return 0;
    const std::uint64_t count = is_warm_ ? with_answer_chunks_ : usable_;
    const at::Tensor loss = at::stack(losses).sum() / static_cast<double>(count);
    torch::autograd::backward({loss});
    return loss.item<double>();
  }

  std::uint64_t tokens() const override { return tokens_; }
  std::uint64_t position() const override { return next_; }
  void go_to(std::uint64_t position) override { next_ = position; }
  bool has_log_loss() const override { return false; }

  Json describe() const override {
    if (is_warm_) return {{"phase", "supervised"}};
    return {{"phase", "grpo"}, {"reward", reward_}, {"reward_deviation", reward_deviation_}};
  }

  std::optional<Json> evaluate(std::uint64_t step) override {
    const bool is_due = step % config_.policy.evaluate_every == 0 || step == config_.steps;
    if (held_out_ == 0 || !is_due) return std::nullopt;
    const at::NoGradGuard no_gradients;
    forget_states();
    for (std::uint64_t n = 0; n < held_out_; ++n) {
      Draw draw({config_.run.seed + 1, n});  // the same each time
      add_state(data_.questions() - held_out_ + n, draw);
    }
    if (usable_ == 0) return std::nullopt;
    for (PolicyState& state : states_) {
      state.picks = chunks_within_fraction(config_.policy.evaluation_budget, state.layout.chunks().size());
    }
    Json rewards = {{"questions", usable_}, {"budget", config_.policy.evaluation_budget}};
    rewards["policy"] = mean_reward([&](const PolicyState& state) { return best_first(score(state), state.picks); });
    if (other_rules_.is_null()) other_rules_ = rewards_of_other_rules();  // they do not change
    rewards.update(other_rules_);
    forget_states();
    return rewards;
  }

 private:
  struct Selected {
    std::size_t state = 0;
    std::vector<bool> expanded;
  };

  void forget_states() {
    states_.clear();
    usable_ = 0;
    with_answer_chunks_ = 0;
  }

  /// Of all states, with the chunks that `pick` names for each of them.
  template <typename Pick>
  double mean_reward(const Pick& pick) {
    std::vector<Selected> selections;
    for (std::size_t n = 0; n < states_.size(); ++n) {
      selections.push_back({n, as_mask(pick(states_[n]), states_[n].layout.chunks().size())});
    }
    double sum = rewards_of(selections).sum().item<double>();
    group_.sum(std::span(&sum, 1));
    return sum / static_cast<double>(usable_);
  }

  /// What needs no policy: random picks, similarity, and the perplexity heuristics both ways.
  Json rewards_of_other_rules() {
    Json rewards;
    rewards["random"] = mean_reward([&](const PolicyState& state) {
      Draw draw({config_.run.seed + 2, state.number});
      const std::vector<std::size_t> drawn = draw.sample(state.layout.chunks().size(), state.picks);
      return std::vector<std::int64_t>(drawn.begin(), drawn.end());
    });
    rewards["similarity"] = mean_reward([&](const PolicyState& state) {
      // As the engine's rule: the cosine of each chunk vector with the mean of the question's.
      const at::Tensor question = model_.encode(query_chunks(state)).mean(0, /*keepdim=*/true);
      return best_first(at::cosine_similarity(state.vectors, question, 1), state.picks);
    });
    rewards["high_perplexity"] =
        mean_reward([&](const PolicyState& state) { return best_first(chunk_perplexities(state), state.picks); });
    rewards["low_perplexity"] =
        mean_reward([&](const PolicyState& state) { return best_first(-chunk_perplexities(state), state.picks); });
    return rewards;
  }

  /// Mean −log p of each chunk's tokens where the decoder reads the whole context as tokens, [L].
  at::Tensor chunk_perplexities(const PolicyState& state) const {
    const auto& chunks = state.layout.chunks();
    MixedBatch batch;
    batch.begin_sequence();
    batch.add_token(start_token(model_));  // in place of the prompt's own where it begins with a passage
    Question bare = state.question;
    bare.before.clear();
    state.layout.add_context(batch, bare, std::vector<bool>(chunks.size(), false),
                             [&](std::size_t chunk) { batch.add_targets(chunks[chunk]); });
    const Autocast autocast(config_.run);
    const at::Tensor losses = batch.losses(model_.decoder(), {}, /*recompute=*/false).cpu();
    std::vector<at::Tensor> means;
    std::int64_t first = 0;
    for (const std::vector<TokenId>& chunk : chunks) {
      means.push_back(losses.narrow(0, first, static_cast<std::int64_t>(chunk.size())).mean());
      first += static_cast<std::int64_t>(chunk.size());
    }
    return at::stack(means);
  }

  /// What is drawn is the same in all processes; only one of them goes on to compute vectors, and keeps the state.
  void add_state(std::uint64_t number, Draw& draw) {
    const PolicyConfig& policy = config_.policy;
    const auto passages =
        static_cast<std::size_t>(std::llround(draw.within(policy.passages.least, policy.passages.most)));
    const QuestionData::Context context = data_.draw_context(number, passages, 1, /*with_right=*/true, draw);
    PolicyState state{
        data_.question(number), QuestionLayout(data_, context.passages, model_.chunk_size()), {}, {}, {}, {}, {}};
    state.number = usable_;
    const std::size_t chunks = state.layout.chunks().size();
    state.picks = chunks_within_fraction(draw.within(policy.budget.least, policy.budget.most), chunks);
    state.answer = state.question.answer;
    state.answer.push_back(model_.eos());
    if (draw.chance(policy.partial) && state.answer.size() > 1) {
      const auto said = static_cast<std::ptrdiff_t>(1 + draw.below(state.answer.size() - 1));
      state.said.assign(state.answer.begin(), state.answer.begin() + said);
      state.answer.erase(state.answer.begin(), state.answer.begin() + said);
    }
    if (chunks == 0 || longest_prompt(state) > static_cast<std::size_t>(model_.decoder().config().max_positions)) {
      return;
    }
    ++usable_;
    if (is_warm_ && !state.layout.answer_chunks(state.question).empty()) ++with_answer_chunks_;
    if (!group_.is_mine(state.number)) return;
    state.vectors = model_.encode(state.layout.chunks());
    state.projected = model_.parts().projector->forward(state.vectors);
    state.query = query_of(state);
    tokens_ += std::accumulate(state.layout.chunks().begin(), state.layout.chunks().end(), std::uint64_t{0},
                               [](std::uint64_t sum, const auto& chunk) { return sum + chunk.size(); });
    states_.push_back(std::move(state));
  }

  static std::size_t longest_prompt(const PolicyState& state) {
    MixedBatch batch;
    batch.begin_sequence();
    state.layout.add_context(batch, state.question, std::vector<bool>(state.layout.chunks().size(), true),
                             [](std::size_t) {});
    return batch.positions() + state.question.behind.size() + state.said.size() + state.answer.size();
  }

  /// The question and, while an answer is being written, what it says so far.
  std::vector<std::vector<TokenId>> query_chunks(const PolicyState& state) const {
    std::vector<TokenId> ids = state.question.query;
    ids.insert(ids.end(), state.said.begin(), state.said.end());
    return chunks_of(ids, model_.chunk_size());
  }

  at::Tensor query_of(const PolicyState& state) const {
    const at::Tensor vectors = model_.encode(query_chunks(state));
    return model_.policy().reads_projected() ? model_.parts().projector->forward(vectors) : vectors;
  }

  /// [L], on the CPU, where picks are drawn.
  at::Tensor score(const PolicyState& state) const {
    const at::Tensor& chunks = model_.policy().reads_projected() ? state.projected : state.vectors;
    return model_.policy().forward(state.query, chunks).cpu();
  }

  void roll_out(std::uint64_t step) {
    std::vector<Selected> selections;
    for (std::size_t n = 0; n < states_.size(); ++n) {
      const at::Tensor logits = score(states_[n]).contiguous();
      Draw draw({config_.run.seed + 3, step, states_[n].number});
      std::vector<std::int64_t> picks;
      for (std::int64_t g = 0; g < config_.policy.group; ++g) {
        const std::vector<std::int64_t> picked = draw_picks(floats_of(logits), states_[n].picks, draw);
        selections.push_back({n, as_mask(picked, states_[n].layout.chunks().size())});
        picks.insert(picks.end(), picked.begin(), picked.end());
      }
      const at::Tensor all = at::tensor(picks, at::kLong).view({config_.policy.group, -1});
      rollouts_.push_back({all, pick_log_probs(logits, all), {}});
    }
    const at::Tensor rewards = rewards_of(selections).view({-1, config_.policy.group});
    for (std::size_t n = 0; n < rollouts_.size(); ++n) rollouts_[n].rewards = rewards[static_cast<std::int64_t>(n)];
    sum_up_rewards();
  }

  void sum_up_rewards() {
    std::array<double, 3> sums = {0, 0, 0};
    for (const Rollout& rollout : rollouts_) {
      const double deviation = rollout.rewards.std(/*unbiased=*/false).item<double>();
      sums[0] += rollout.rewards.mean().item<double>();
      sums[1] += deviation;
      sums[2] += deviation * deviation;
    }
    group_.sum(std::span(sums));
    reward_ = sums[0] / static_cast<double>(usable_);
    reward_deviation_ = sums[1] / static_cast<double>(usable_);
    step_deviation_ = std::sqrt(sums[2] / static_cast<double>(usable_));
  }

  /// Where each group has its own deviation, as in the paper, questions whose answers are sure whatever is picked weigh
  /// as much as those that the picks decide.
  at::Tensor advantages_of(const Rollout& rollout) const {
    return config_.policy.deviation_of_step ? scaled_advantages(rollout.rewards, step_deviation_)
                                            : group_advantages(rollout.rewards);
  }

  /// −log-perplexity of the answers, [selections]: in passes of at most batch.tokens positions.
  at::Tensor rewards_of(const std::vector<Selected>& selections) {
    std::vector<at::Tensor> rewards = {at::zeros({0})};
    for (std::size_t begin = 0; begin < selections.size();) {
      MixedBatch batch;
      std::vector<at::Tensor> vectors;
      std::int64_t rows = 0;
      std::size_t end = begin;
      for (; end < selections.size(); ++end) {
        MixedBatch one;
        add_prompt(one, selections[end], rows);
        if (end > begin && batch.positions() + one.positions() > static_cast<std::size_t>(config_.batch_tokens)) break;
        const bool same = end > begin && selections[end].state == selections[end - 1].state;
        if (!same) {
          vectors.push_back(states_[selections[end].state].projected);
          rows += vectors.back().size(0);
        }
        add_prompt(batch, selections[end], rows - vectors.back().size(0));
      }
      tokens_ += batch.positions();
      rewards.push_back(rewards_of(batch, at::cat(vectors), static_cast<std::int64_t>(end - begin)));
      begin = end;
    }
    return at::cat(rewards);
  }

  at::Tensor rewards_of(const MixedBatch& batch, const at::Tensor& vectors, std::int64_t sequences) const {
    const Autocast autocast(config_.run);
    const at::Tensor losses = batch.losses(model_.decoder(), vectors, /*recompute=*/false).cpu();
    const std::vector<std::int64_t> owners(batch.target_sequences().begin(), batch.target_sequences().end());
    const at::Tensor sums = at::zeros({sequences}, at::kFloat).index_add_(0, at::tensor(owners, at::kLong), losses);
    const at::Tensor counts = at::bincount(at::tensor(owners, at::kLong), {}, sequences);
    return -sums / counts;
  }

  void add_prompt(MixedBatch& batch, const Selected& selected, std::int64_t first_row) const {
    const PolicyState& state = states_[selected.state];
    batch.begin_sequence();
    state.layout.add_context(batch, state.question, selected.expanded, [&](std::size_t chunk) {
      batch.add_vector(first_row + static_cast<std::int64_t>(chunk));
    });
    batch.add_tokens(state.question.behind);
    batch.add_tokens(state.said);
    batch.add_targets(state.answer);
  }

  const TrainConfig& config_;
  const TrainModel& model_;
  const ProcessGroup& group_;
  QuestionData data_;
  std::uint64_t held_out_ = 0;
  std::uint64_t next_ = 0;
  std::uint64_t tokens_ = 0;
  bool is_warm_ = false;
  Json other_rules_;                      // rewards of the evaluation's questions
  std::vector<PolicyState> states_;       // this process's share
  std::uint64_t usable_ = 0;              // states of all processes
  std::uint64_t with_answer_chunks_ = 0;  // of them: what the supervised steps learn from
  std::vector<Rollout> rollouts_;         // of states_
  double reward_ = 0;                     // mean over the rollouts of all processes
  double reward_deviation_ = 0;           // mean deviation within a group
  double step_deviation_ = 0;             // root of the mean of its square
};

}  // namespace

std::unique_ptr<Task> make_policy_task(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
                                       const OnPrepared& on_prepared) {
  return std::make_unique<PolicyTask>(config, model, group, on_prepared);
}

}  // namespace refrag::train

#include "train/task.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag::train {
namespace {

constexpr int kMostEmptyExamples = 100'000;

/// Decoder positions and encoded tokens.
std::uint64_t tokens_of(const MixedBatch& batch) {
  std::uint64_t tokens = batch.positions();
  for (const std::vector<TokenId>& chunk : batch.chunks()) tokens += chunk.size();
  return tokens;
}

}  // namespace

TokenId start_token(const TrainModel& model) {
  const auto bos = model.parts().tokenizer->bos();
  return bos ? *bos : model.eos();
}

std::unique_ptr<Task> make_task(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
                                const OnPrepared& on_prepared) {
  switch (config.stage) {
    case Stage::kPretrain:
    case Stage::kReconstruct:
    case Stage::kCpt:
      return make_text_task(config, model, group, on_prepared);
    case Stage::kSft:
      return make_question_task(config, model, group, on_prepared);
    case Stage::kPolicy:
      return make_policy_task(config, model, group, on_prepared);
    case Stage::kRetriever:
      return make_retriever_task(config, model, group, on_prepared);
  }
  return nullptr;
}

void ExampleTask::begin(std::uint64_t step) {
  const bool was_drawn = ahead_.valid() && step == step_ + 1;
  drawn_ = was_drawn ? ahead_.get() : draw(step, next_);
  first_ = next_;
  next_ = drawn_.end;
  step_ = step;
  if (step + 1 < config_.steps) {
    ahead_ = std::async(std::launch::async, [this, step, next = next_] { return draw(step + 1, next); });
  }
}

void ExampleTask::go_to(std::uint64_t position) {
  ahead_ = {};  // it was drawn from another place
  next_ = position;
}

double ExampleTask::progress(std::uint64_t step) const {
  return static_cast<double>(step) / static_cast<double>(config_.steps);
}

ExampleTask::Drawn ExampleTask::draw(std::uint64_t step, std::uint64_t first) const {
  Drawn drawn;
  drawn.end = first;
  std::vector<MixedBatch> examples;
  for (std::int64_t pass = 0; pass < config_.accumulate; ++pass) draw_pass(examples, drawn.end, progress(step));
  std::vector<std::uint64_t> costs;
  for (const MixedBatch& one : examples) {
    costs.push_back(tokens_of(one));
    drawn.chunks += one.chunks().size();
    drawn.targets += one.target_count();
  }
  const std::vector<std::int64_t> owners = divide_work(costs, group_.size());
  for (std::size_t n = 0; n < examples.size(); ++n) {
    if (owners[n] == group_.rank()) add_to_passes(drawn.passes, examples[n]);
  }
  return drawn;
}

void ExampleTask::add_to_passes(std::vector<MixedBatch>& passes, const MixedBatch& one) const {
  const auto most = static_cast<std::size_t>(config_.batch_tokens);
  if (passes.empty() || passes.back().positions() + one.positions() > most) passes.emplace_back();
  passes.back().append(one);
}

void ExampleTask::draw_pass(std::vector<MixedBatch>& examples, std::uint64_t& next, double progress) const {
  const auto longest = static_cast<std::size_t>(model_.decoder().config().max_positions);
  std::size_t positions = 0;
  for (int empty = 0; empty < kMostEmptyExamples;) {
    MixedBatch one = source_->example(next, progress);
    if (one.target_count() == 0 || one.positions() > longest) {
      ++next;
      ++empty;
      continue;
    }
    const std::size_t together = positions + one.positions();
    if (positions > 0 && together > static_cast<std::size_t>(config_.batch_tokens)) return;
    examples.push_back(std::move(one));
    positions = together;
    ++next;
    if (together >= static_cast<std::size_t>(config_.batch_tokens)) return;
  }
  throw Error(
      ErrorCode::kInvalidArgument,
      message("of ", kMostEmptyExamples, " examples none could be learnt from: texts are too short for a chunk ",
              "and a target, or prompts are longer than the decoder's ", longest, " positions"));
}

double ExampleTask::compute_gradients(std::int64_t) {
  double loss = 0;
  for (const MixedBatch& pass : drawn_.passes) {
    at::Tensor share;
    {
      const Autocast autocast(config_.run);
      const at::Tensor vectors = pass.chunks().empty() ? at::Tensor() : model_.project(pass.chunks());
      const at::Tensor losses = pass.losses(model_.decoder(), vectors, config_.run.recompute);
      share = losses.sum() / static_cast<double>(drawn_.targets);
    }
    if (share.requires_grad()) torch::autograd::backward({share});
    loss += share.item<double>();  // last: it waits for a GPU, which has the backward pass to do meanwhile
  }
  return loss;
}

std::uint64_t ExampleTask::tokens() const {
  std::uint64_t tokens = 0;
  for (const MixedBatch& pass : drawn_.passes) tokens += tokens_of(pass);
  return tokens;
}

Json ExampleTask::describe() const {
  Json json = {{"examples", next_ - first_}, {"chunks", drawn_.chunks}, {"targets", drawn_.targets}};
  json.update(source_->describe(progress(step_)));
  return json;
}

}  // namespace refrag::train

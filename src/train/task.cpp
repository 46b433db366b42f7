#include "train/task.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag::train {
namespace {

constexpr int kMostEmptyExamples = 100'000;

}  // namespace

TokenId start_token(const TrainModel& model) {
  const auto bos = model.parts().tokenizer->bos();
  return bos ? *bos : model.eos();
}

std::unique_ptr<Task> make_task(const TrainConfig& config, const TrainModel& model, const OnPrepared& on_prepared) {
  switch (config.stage) {
    case Stage::kPretrain:
    case Stage::kReconstruct:
    case Stage::kCpt:
      return make_text_task(config, model, on_prepared);
    case Stage::kSft:
      return make_question_task(config, model, on_prepared);
    case Stage::kPolicy:
      return make_policy_task(config, model, on_prepared);
    case Stage::kRetriever:
      return make_retriever_task(config, model, on_prepared);
  }
  return nullptr;
}

void ExampleTask::begin(std::uint64_t step) {
  first_ = next_;
  passes_.clear();
  const double progress = static_cast<double>(step) / static_cast<double>(config_.steps);
  for (std::int64_t pass = 0; pass < config_.accumulate; ++pass) passes_.push_back(next_batch(progress));
}

MixedBatch ExampleTask::next_batch(double progress) {
  const auto longest = static_cast<std::size_t>(model_.decoder().config().max_positions);
  MixedBatch batch;
  for (int empty = 0; empty < kMostEmptyExamples;) {
    const MixedBatch one = example(next_, progress);
    if (one.target_count() == 0 || one.positions() > longest) {
      ++next_;
      ++empty;
      continue;
    }
    const std::size_t together = batch.positions() + one.positions();
    if (batch.positions() > 0 && together > static_cast<std::size_t>(config_.batch_tokens)) return batch;
    batch.append(one);
    ++next_;
    if (together >= static_cast<std::size_t>(config_.batch_tokens)) return batch;
  }
  throw Error(
      ErrorCode::kInvalidArgument,
      message("of ", kMostEmptyExamples, " examples none could be learnt from: texts are too short for a chunk ",
              "and a target, or prompts are longer than the decoder's ", longest, " positions"));
}

double ExampleTask::compute_gradients(std::int64_t) {
  std::size_t targets = 0;
  for (const MixedBatch& pass : passes_) targets += pass.target_count();
  double loss = 0;
  for (const MixedBatch& pass : passes_) {
    at::Tensor share;
    {
      const Autocast autocast(config_.run.bf16);
      const at::Tensor vectors = pass.chunks().empty() ? at::Tensor() : model_.project(pass.chunks());
      const at::Tensor losses = pass.losses(model_.decoder(), vectors, config_.run.recompute);
      share = losses.sum() / static_cast<double>(targets);
    }
    loss += share.item<double>();
    if (share.requires_grad()) torch::autograd::backward({share});
  }
  return loss;
}

std::uint64_t ExampleTask::tokens() const {
  std::uint64_t tokens = 0;
  for (const MixedBatch& pass : passes_) {
    tokens += pass.positions();
    for (const std::vector<TokenId>& chunk : pass.chunks()) tokens += chunk.size();
  }
  return tokens;
}

Json ExampleTask::describe() const {
  std::size_t chunks = 0;
  std::size_t targets = 0;
  for (const MixedBatch& pass : passes_) {
    chunks += pass.chunks().size();
    targets += pass.target_count();
  }
  return {{"examples", next_ - first_}, {"chunks", chunks}, {"targets", targets}};
}

}  // namespace refrag::train

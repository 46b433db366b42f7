// retriever: a question's vector learns to be near its passage's and far from the others' (InfoNCE, in-batch
// negatives).
#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"
#include "train/exchange.h"
#include "train/question_data.h"
#include "train/task.h"

namespace refrag::train {
namespace {

/// The questions alone, without what the policy would read around them.
ModelInfo plain_questions(ModelInfo info) {
  info.prompt = PromptTemplate{};
  info.chat_template.reset();
  info.chunk_size = std::max<std::size_t>(1, info.chunk_size);
  return info;
}

class RetrieverTask : public Task {
 public:
  RetrieverTask(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
                const OnPrepared& on_prepared)
      : config_(config), model_(model), group_(group), data_(config.data, plain_questions(model.info()), on_prepared) {}

  void begin(std::uint64_t) override {
    questions_.clear();
    passages_.clear();
    places_.clear();
    right_.clear();
    relevant_.clear();
    tokens_ = 0;
    const auto pairs = static_cast<std::size_t>(config_.retriever.pairs);
    std::uint64_t without = 0;  // refusals have no passage
    while (questions_.size() < pairs) {
      const std::uint64_t n = next_++;
      const Question question = data_.question(data_.shuffled_question(n, config_.run.seed));
      if (!question.relevant.empty()) {
        add(question, n);
      } else if (++without > data_.questions()) {
        throw Error(ErrorCode::kInvalidArgument, "data.questions names no relevant passage", "data.questions");
      }
    }
  }

  double compute_gradients(std::int64_t) override {
    at::Tensor loss;
    {
      const Autocast autocast(config_.run);
      const TextEmbedder& retriever = *model_.parts().retriever;
      // Each process embeds its share, and all of them compare everything with everything.
      const auto embed = [&](const std::vector<std::string>& texts, bool as_queries) {
        const auto [begin, end] = group_.range_of(texts.size());
        const std::vector<std::string> own(texts.data() + begin, texts.data() + end);
        const at::Tensor rows = own.empty()  ? at::zeros({0, static_cast<std::int64_t>(retriever.width())})
                                : as_queries ? retriever.embed_queries(own)
                                             : retriever.embed_passages(own);
        return gather_rows(group_, rows, begin, texts.size());
      };
      const at::Tensor queries = embed(questions_, true);   // [B, d]
      const at::Tensor passages = embed(passages_, false);  // [P, d]
      const at::Tensor cosines = at::matmul(queries, passages.t()).to(at::kFloat);
      const at::Tensor scores =
          (cosines / config_.retriever.temperature).masked_fill(other_right().to(cosines.device()), -kInfinity);
      const at::Tensor right = at::tensor(right_, at::kLong).to(cosines.device());
      loss = at::cross_entropy_loss(scores, right);
      accuracy_ = scores.argmax(1).eq(right).to(at::kFloat).mean().item<double>();
    }
    if (loss.requires_grad()) torch::autograd::backward({loss});  // not where this process has less than one text
    return group_.is_first() ? loss.item<double>() : 0.0;         // it is the whole loss, whoever computes it
  }

  std::uint64_t tokens() const override { return group_.is_first() ? tokens_ : 0; }  // of all processes
  Json describe() const override { return {{"accuracy", accuracy_}, {"passages", passages_.size()}}; }
  std::uint64_t position() const override { return next_; }
  void go_to(std::uint64_t position) override { next_ = position; }

 private:
  static constexpr double kInfinity = std::numeric_limits<double>::infinity();

  void add(const Question& question, std::uint64_t n) {
    Draw draw({config_.run.seed, n});
    questions_.push_back(model_.parts().tokenizer->decode(question.query));
    tokens_ += question.query.size();
    right_.push_back(place_of(question.relevant[draw.below(question.relevant.size())]));
    relevant_.push_back(question.relevant);
    const auto negatives = static_cast<std::size_t>(config_.retriever.negatives);
    for (const std::size_t place : draw.sample(question.distractors.size(), negatives)) {
      place_of(question.distractors[place]);
    }
  }

  /// Each passage once, whoever brings it.
  std::int64_t place_of(Question::PassageNumber number) {
    const auto [found, is_new] = places_.emplace(number, static_cast<std::int64_t>(passages_.size()));
    if (is_new) {
      const Passage passage = data_.passage(number);
      passages_.push_back(model_.parts().tokenizer->decode(passage.text));
      tokens_ += passage.text.size();
    }
    return found->second;
  }

  /// [B, P]: passages that are right for a question too, but not the one it is to find.
  at::Tensor other_right() const {
    at::Tensor mask = at::zeros(
        {static_cast<std::int64_t>(questions_.size()), static_cast<std::int64_t>(passages_.size())}, at::kBool);
    auto marks = mask.accessor<bool, 2>();
    for (std::size_t n = 0; n < questions_.size(); ++n) {
      for (const Question::PassageNumber number : relevant_[n]) {
        const auto found = places_.find(number);
        if (found != places_.end() && found->second != right_[n]) {
          marks[static_cast<std::int64_t>(n)][found->second] = true;
        }
      }
    }
    return mask;
  }

  const TrainConfig& config_;
  const TrainModel& model_;
  const ProcessGroup& group_;
  QuestionData data_;
  std::uint64_t next_ = 0;
  std::uint64_t tokens_ = 0;
  double accuracy_ = 0;
  std::vector<std::string> questions_;
  std::vector<std::string> passages_;
  std::unordered_map<Question::PassageNumber, std::int64_t> places_;  // of passages_
  std::vector<std::int64_t> right_;                                   // by question
  std::vector<std::vector<Question::PassageNumber>> relevant_;        // by question
};

}  // namespace

std::unique_ptr<Task> make_retriever_task(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
                                          const OnPrepared& on_prepared) {
  return std::make_unique<RetrieverTask>(config, model, group, on_prepared);
}

}  // namespace refrag::train

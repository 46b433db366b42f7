// sft: questions over passages, of which the answers count, with chunks written back and running text if asked for.
#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "base/message.h"
#include "engine/budget.h"
#include "refrag/error.h"
#include "train/context_examples.h"
#include "train/question_layout.h"
#include "train/task.h"

namespace refrag::train {
namespace {

class QuestionExamples : public ExampleSource {
 public:
  QuestionExamples(const TrainConfig& config, const TrainModel& model, const OnPrepared& on_prepared)
      : config_(config), model_(model), data_(config.data, model.info(), on_prepared) {
    const QuestionConfig& questions = config.questions;
    if (!model.has_encoder() && questions.full + questions.none < 1) {
      throw Error(ErrorCode::kUnsupported,
                  "the bundle has no encoder, so no chunk can be compressed; expected sft.full and sft.none to be 1 "
                  "together, or start.encoder to make one");
    }
    if (questions.text > 0) {
      if (!model.has_encoder()) {
        throw Error(ErrorCode::kUnsupported,
                    "sft.text is compressed as in cpt, which needs an encoder; expected 0, or "
                    "start.encoder to make one",
                    "sft.text");
      }
      texts_.emplace(config, model, on_prepared);
    }
    if (!questions.refusal.empty()) refusal_ = QuestionData::answer_tokens(questions.refusal, model.info());
  }

  MixedBatch example(std::uint64_t n, double progress) const override {
    const QuestionConfig& config = config_.questions;
    Draw draw({config_.run.seed, n});
    if (texts_ && draw.chance(config.text)) return texts_->continuation_of(n, progress, draw);
    const std::uint64_t number = data_.shuffled_question(n, config_.run.seed);
    const double kind = draw.unit();
    MixedBatch batch;
    if (kind < config.none) {
      const Question question = data_.question(number);
      batch.begin_sequence();
      batch.add_tokens(question.bare);
      add_answer(batch, question.answer);
      return batch;
    }
    const bool writes_back = kind >= 1 - config.reconstruct;
    // As often from the running text as from passages, of which nothing has to be laid out then.
    if (writes_back && texts_ && draw.chance(0.5)) return texts_->reconstruction_of(n, draw_reconstructed(draw), draw);
    const bool is_missing = draw.chance(config.missing);
    const auto passages =
        static_cast<std::size_t>(std::llround(draw.within(config.passages.least, config.passages.most)));
    const QuestionData::Context context = data_.draw_context(
        number, passages, static_cast<std::size_t>(config.questions), /*with_right=*/!is_missing, draw);
    const QuestionLayout layout(data_, context.passages, std::max<std::size_t>(1, model_.chunk_size()));
    if (writes_back) return reconstruction_of(layout, draw);
    std::vector<Question> questions;
    for (const std::uint64_t q : context.questions) questions.push_back(data_.question(q));
    if (is_missing) questions.front().answer = refusal_;

    const bool full = kind < config.none + config.full;
    const bool with_answers = !full && kind < config.none + config.full + config.answer;
    const std::vector<bool> expanded =
        full ? std::vector<bool>(layout.chunks().size(), true) : draw_expanded(layout, questions, with_answers, draw);
    const std::size_t first = batch.begin_sequence();
    layout.add_context(batch, questions.front(), expanded,
                       [&](std::size_t chunk) { batch.add_chunk_vector(layout.chunks()[chunk]); });
    for (const Question& question : questions) {
      if (questions.size() > 1) {
        require_shared(questions.front(), question);
        batch.begin_sequence(static_cast<std::int64_t>(first));
      }
      batch.add_tokens(question.behind);
      add_answer(batch, question.answer);
    }
    return batch;
  }

  Json describe(double progress) const override { return texts_ ? texts_->describe(progress) : Json::object(); }

 private:
  void add_answer(MixedBatch& batch, const std::vector<TokenId>& answer) const {
    batch.add_targets(answer);
    batch.add_target(model_.eos());
  }

  /// How many chunks are to be written back: as often 1 as 2 and 3 together, as 4 to 7. Long ones would outweigh all
  /// else.
  std::size_t draw_reconstructed(Draw& draw) const {
    const auto most = static_cast<std::size_t>(config_.questions.reconstruct_chunks);
    const double doublings = std::log2(static_cast<double>(most) + 1) * draw.unit();
    return std::min(most, static_cast<std::size_t>(std::exp2(doublings)));
  }

  /// As in the stage reconstruct, of some chunks of the passages.
  MixedBatch reconstruction_of(const QuestionLayout& layout, Draw& draw) const {
    const std::span<const std::vector<TokenId>> all = layout.chunks();
    const std::size_t count = std::min(draw_reconstructed(draw), all.size());
    return reconstruction(all.subspan(draw.below(all.size() - count + 1), count), start_token(model_));
  }

  std::vector<bool> draw_expanded(const QuestionLayout& layout, const std::vector<Question>& questions,
                                  bool with_answers, Draw& draw) const {
    const Range& range = config_.questions.expand;
    const std::size_t chunks = layout.chunks().size();
    std::vector<bool> expanded(chunks, false);
    const double share = draw.within(range.least, range.most);
    for (const std::size_t chunk : draw.sample(chunks, chunks_within_fraction(share, chunks))) expanded[chunk] = true;
    if (!with_answers) return expanded;
    for (const Question& question : questions) {
      // Where several share the context, half of them: the others are read as their vectors.
      if (questions.size() > 1 && draw.chance(0.5)) continue;
      for (const std::size_t chunk : layout.answer_chunks(question)) expanded[chunk] = true;
    }
    return expanded;
  }

  void require_shared(const Question& first, const Question& other) const {
    if (first.before == other.before && !other.behind.empty()) return;
    throw Error(
        ErrorCode::kInvalidArgument,
        message("sft.questions is ", config_.questions.questions,
                "; the model's prompt has the question in front of the passages, so no two can share them: expected 1"),
        "sft.questions");
  }

  const TrainConfig& config_;
  const TrainModel& model_;
  QuestionData data_;
  std::optional<ContextExamples> texts_;
  std::vector<TokenId> refusal_;
};

}  // namespace

std::unique_ptr<Task> make_question_task(const TrainConfig& config, const TrainModel& model, const ProcessGroup& group,
                                         const OnPrepared& on_prepared) {
  return std::make_unique<ExampleTask>(config, model, group,
                                       std::make_unique<QuestionExamples>(config, model, on_prepared));
}

}  // namespace refrag::train

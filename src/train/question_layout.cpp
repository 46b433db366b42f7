#include "train/question_layout.h"

#include <algorithm>
#include <utility>

namespace refrag::train {

QuestionLayout::QuestionLayout(const QuestionData& data, const std::vector<Question::PassageNumber>& passages,
                               std::size_t chunk_size)
    : data_(&data), numbers_(passages) {
  for (const Question::PassageNumber number : passages) {
    first_chunks_.push_back(chunks_.size());
    passages_.push_back(data.passage(number));
    for (std::vector<TokenId>& chunk : chunks_of(passages_.back().text, chunk_size)) {
      chunks_.push_back(std::move(chunk));
    }
  }
}

std::vector<std::size_t> QuestionLayout::answer_chunks(const Question& question) const {
  std::vector<std::size_t> chunks;
  for (const auto& [passage, chunk] : question.answer_chunks) {
    const auto found = std::find(numbers_.begin(), numbers_.end(), passage);
    if (found != numbers_.end()) {
      chunks.push_back(first_chunks_[static_cast<std::size_t>(found - numbers_.begin())] + chunk);
    }
  }
  return chunks;
}

void QuestionLayout::add_context(MixedBatch& batch, const Question& question, const std::vector<bool>& expanded,
                                 const std::function<void(std::size_t)>& add_vector) const {
  batch.add_tokens(question.before);
  for (std::size_t n = 0; n < passages_.size(); ++n) {
    if (n > 0) batch.add_tokens(data_->separator());
    batch.add_tokens(passages_[n].before);
    const std::size_t end = n + 1 < passages_.size() ? first_chunks_[n + 1] : chunks_.size();
    for (std::size_t chunk = first_chunks_[n]; chunk < end; ++chunk) {
      if (expanded[chunk]) {
        batch.add_tokens(chunks_[chunk]);
      } else {
        add_vector(chunk);
      }
    }
    batch.add_tokens(passages_[n].behind);
  }
}

}  // namespace refrag::train

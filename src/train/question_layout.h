#pragma once
#include <cstddef>
#include <functional>
#include <vector>

#include "train/mixed_batch.h"
#include "train/question_data.h"

namespace refrag::train {

/// The passages of one prompt, cut into chunks as serving cuts them: k tokens of one passage, its last chunk short.
/// Chunks are numbered from 0 in the order of the prompt.
class QuestionLayout {
 public:
  QuestionLayout(const QuestionData& data, const std::vector<Question::PassageNumber>& passages,
                 std::size_t chunk_size);

  const std::vector<std::vector<TokenId>>& chunks() const { return chunks_; }
  /// The numbers of the chunks that hold the answer's words, of passages that are here.
  std::vector<std::size_t> answer_chunks(const Question& question) const;

  /// The prompt up to the end of the passages. `add_vector` puts chunk n's vector in its place.
  void add_context(MixedBatch& batch, const Question& question, const std::vector<bool>& expanded,
                   const std::function<void(std::size_t)>& add_vector) const;

 private:
  const QuestionData* data_;
  std::vector<Question::PassageNumber> numbers_;
  std::vector<Passage> passages_;
  std::vector<std::size_t> first_chunks_;  // by passage
  std::vector<std::vector<TokenId>> chunks_;
};

}  // namespace refrag::train

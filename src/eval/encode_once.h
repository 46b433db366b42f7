#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/model_runner.h"

namespace refrag {

/// A runner that makes the vector of a chunk once: all rows of a table read the same passages. For one thread.
class EncodeOnce final : public ModelRunner {
 public:
  explicit EncodeOnce(std::shared_ptr<ModelRunner> runner) : runner_(std::move(runner)) {}

  void forget() { vectors_.clear(); }  // between questions, so that memory stays bounded

  Matrix encode_chunks(const std::vector<std::vector<TokenId>>& chunks) const override;

  const ModelInfo& info() const override { return runner_->info(); }
  Matrix project(const Matrix& chunk_vectors) const override { return runner_->project(chunk_vectors); }
  std::vector<float> score_chunks(const Matrix& question, const Matrix& context,
                                  const Matrix* projected_context) const override {
    return runner_->score_chunks(question, context, projected_context);
  }
  Matrix embed_queries(const std::vector<std::string>& texts) const override { return runner_->embed_queries(texts); }
  Matrix embed_passages(const std::vector<std::string>& texts) const override { return runner_->embed_passages(texts); }
  std::vector<float> rerank(const std::string& query, const std::vector<std::string>& texts) const override {
    return runner_->rerank(query, texts);
  }
  SequenceId open_sequence(std::size_t positions) override { return runner_->open_sequence(positions); }
  void close_sequence(SequenceId sequence) override { runner_->close_sequence(sequence); }
  std::vector<Matrix> step(std::span<const StepInput> inputs) override { return runner_->step(inputs); }

 private:
  std::shared_ptr<ModelRunner> runner_;
  mutable std::map<std::vector<TokenId>, std::vector<float>> vectors_;
};

}  // namespace refrag

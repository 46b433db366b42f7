#pragma once
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/model_runner.h"

namespace refrag {

class KvCache;
class ModelBundle;

/// The model's operations over a loaded bundle, and the KV caches of the sequences that are open. Where the bundle
/// lacks the part that an operation needs, that operation throws kUnsupported. This header is free of torch.
class BundleRunner final : public ModelRunner {
 public:
  explicit BundleRunner(std::shared_ptr<const ModelBundle> bundle);
  ~BundleRunner() override;

  const ModelInfo& info() const override { return info_; }

  Matrix encode_chunks(const std::vector<std::vector<TokenId>>& chunks) const override;
  Matrix project(const Matrix& chunk_vectors) const override;
  std::vector<float> score_chunks(const Matrix& question, const Matrix& context,
                                  const Matrix* projected_context) const override;
  Matrix embed_queries(const std::vector<std::string>& texts) const override;
  Matrix embed_passages(const std::vector<std::string>& texts) const override;
  std::vector<float> rerank(const std::string& query, const std::vector<std::string>& texts) const override;

  SequenceId open_sequence(std::size_t expected_positions) override;
  void close_sequence(SequenceId sequence) override;
  std::vector<Matrix> step(std::span<const StepInput> inputs) override;
  void rest() const override;

 private:
  KvCache& cache_for(const StepInput& input) const;

  std::shared_ptr<const ModelBundle> bundle_;
  ModelInfo info_;
  std::unordered_map<SequenceId, std::unique_ptr<KvCache>> caches_;  // used by the thread that steps alone
  SequenceId last_sequence_ = 0;
};

}  // namespace refrag

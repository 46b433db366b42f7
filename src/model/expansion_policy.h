#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "model/bert_layer.h"
#include "model/policy_options.h"
#include "model/weight_reader.h"

namespace refrag {

/// Decides which chunks deserve their tokens back: two post-LN transformer layers over the vectors of the question's
/// chunks and of the context's, one logit a context chunk (section 2 of the paper; the question is our addition).
/// Always fp32. Immutable and thread-safe.
class ExpansionPolicy {
 public:
  ExpansionPolicy(WeightReader& weights, const PolicyOptions& options);
  static std::shared_ptr<const ExpansionPolicy> load(const std::filesystem::path& file, const PolicyOptions& options,
                                                     at::Device device,
                                                     nn::WeightLayout layout = nn::WeightLayout::kPlain);

  /// question [Q, d] and context [L, d], in the space that the policy reads; result: logits [L], fp32 on the CPU. A
  /// policy that is not question-aware passes `question` over.
  at::Tensor forward(const at::Tensor& question, const at::Tensor& context) const;

  Parameters parameters() const;
  std::size_t width() const { return shape_.width; }
  std::size_t num_layers() const { return layers_.size(); }
  std::size_t trained_positions() const { return static_cast<std::size_t>(positions_.size(0)); }
  bool reads_projected() const { return options_.reads_projected; }
  bool question_aware() const { return options_.question_aware; }

 private:
  at::Tensor place(const at::Tensor& chunks, std::int64_t type) const;
  at::Tensor positions(std::int64_t n) const;

  PolicyOptions options_;
  BertLayerShape shape_;
  at::Tensor types_;      // [2, d]: question, context
  at::Tensor positions_;  // [trained positions, d]; counted from 0 in the question and again in the context
  nn::LayerNorm norm_;
  std::vector<BertLayer> layers_;
  nn::Linear head_;  // d to 1
};

}  // namespace refrag

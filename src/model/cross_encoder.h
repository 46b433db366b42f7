#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/roberta_encoder.h"
#include "text/tokenizer.h"

namespace refrag {

/// Reads a query and a text together and gives one logit: BertForSequenceClassification, or RoBERTa's and
/// XLM-RoBERTa's, with one label. Immutable and thread-safe.
class CrossEncoder {
 public:
  /// Throws kUnsupported for another architecture or number of labels.
  static std::shared_ptr<const CrossEncoder> load(const std::filesystem::path& directory,
                                                  const at::TensorOptions& options,
                                                  nn::WeightLayout layout = nn::WeightLayout::kPlain);
  CrossEncoder(const EncoderConfig& config, WeightReader& encoder_weights, WeightReader& head_weights,
               std::shared_ptr<const Tokenizer> tokenizer);

  /// One logit a text; higher is better. A pair that is too long loses the end of its text.
  std::vector<float> score(const std::string& query, const std::vector<std::string>& texts) const;
  const EncoderConfig& config() const { return encoder_.config(); }
  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  at::Tensor logits(const at::Tensor& hidden) const;

  RobertaEncoder encoder_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<nn::Linear> dense_;  // RoBERTa's head has a layer of its own where BERT's uses the pooler
  nn::Linear classifier_;            // d to 1
};

}  // namespace refrag

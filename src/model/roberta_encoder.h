#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/token.h"
#include "model/bert_layer.h"
#include "model/encoder_config.h"
#include "model/weight_reader.h"

namespace refrag {

/// One row of a batch, special tokens included. Without `type_ids` all are 0.
struct EncoderInput {
  std::vector<TokenId> ids;
  std::vector<TokenId> type_ids;
};

/// BertModel, RobertaModel and XLMRobertaModel as Hugging Face publishes them: bidirectional, post-LN, learned
/// positions. Immutable and thread-safe.
class RobertaEncoder {
 public:
  /// `pooler`: BERT's, for models that read it (a cross-encoder).
  RobertaEncoder(const EncoderConfig& config, WeightReader& weights, bool pooler = false);
  /// config.json and *.safetensors of `directory`.
  static std::shared_ptr<const RobertaEncoder> load(const std::filesystem::path& directory,
                                                    const at::TensorOptions& options,
                                                    nn::WeightLayout layout = nn::WeightLayout::kPlain);
  /// Weights of an encoder's directory, bare or under "roberta." or "bert." as models with a head have them.
  static WeightReader open_weights(const std::filesystem::path& directory, const at::TensorOptions& options,
                                   nn::WeightLayout layout = nn::WeightLayout::kPlain);

  /// ids, mask, type_ids: [B, L] int64; result: the last hidden state [B, L, d]. `mask` is 1 for real tokens;
  /// undefined: all are real. `type_ids` undefined: all 0.
  at::Tensor forward(const at::Tensor& ids, const at::Tensor& mask = {}, const at::Tensor& type_ids = {}) const;
  /// tanh(dense(first token)): [B, L, d] to [B, d]. Only where the pooler was asked for.
  at::Tensor pool(const at::Tensor& hidden) const;

  /// One fp32 vector a row, [rows, d], on the CPU, in the order given.
  at::Tensor embed(const std::vector<EncoderInput>& rows, Pooling pooling, bool normalize) const;
  /// Runs rows in batches of similar length: `take` gets the rows of a batch, their hidden states [B, L, d] and mask
  /// [B, L] (undefined where no row is padded). Throws kInvalidArgument for a row that is empty or longer than the
  /// model, or holds an id outside the vocabulary.
  using TakeBatch =
      std::function<void(const std::vector<std::size_t>& rows, const at::Tensor& hidden, const at::Tensor& mask)>;
  void for_each_batch(const std::vector<EncoderInput>& rows, const TakeBatch& take) const;

  const EncoderConfig& config() const { return config_; }
  /// All that embed() computes with; the pooler is not among them.
  Parameters parameters() const;
  std::size_t width() const { return config_.width; }
  /// SHA-256 of the weights and of what config.json adds to them.
  const std::string& identity() const { return identity_; }

 private:
  at::Tensor position_ids(const at::Tensor& ids) const;
  void check(const EncoderInput& input, std::size_t row) const;

  EncoderConfig config_;
  at::Tensor words_;      // [vocab, d]
  at::Tensor positions_;  // [position_rows, d]
  at::Tensor types_;      // [num_types, d]
  nn::LayerNorm embedding_norm_;
  std::vector<BertLayer> layers_;
  std::string identity_;
  std::optional<nn::Linear> pooler_;
};

/// [B, L, d] and mask [B, L] (undefined: nothing is padded) to one fp32 vector a row, [B, d].
at::Tensor pool_tokens(const at::Tensor& hidden, const at::Tensor& mask, Pooling pooling);
/// Rows of length 1; a row of zeros stays as it is.
at::Tensor normalize_rows(const at::Tensor& rows);

}  // namespace refrag

#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/token.h"
#include "model/checkpoint.h"
#include "model/kv_cache.h"
#include "model/llama_config.h"
#include "model/llama_layer.h"
#include "model/parameter.h"
#include "nn/embedding.h"

namespace refrag {

/// A LlamaForCausalLM as Hugging Face publishes them: RMSNorm, rotary positions, grouped-query attention, SwiGLU.
/// One forward for serving (with caches, in inference mode) and for training (without). Immutable and thread-safe;
/// a cache belongs to one call at a time. Its weights, most of a bundle's memory, are copied when it first runs, or by
/// read_weights before: who only indexes or searches never needs them.
class LlamaDecoder {
 public:
  /// config.json and safetensors of `directory`, for the dtype and device of `options`. All is checked at once: throws
  /// kUnsupported for what this decoder does not compute, kCorrupt for tensors that are missing, of another shape than
  /// config.json says, or unknown to this architecture.
  static std::shared_ptr<const LlamaDecoder> load(const std::filesystem::path& directory,
                                                  const at::TensorOptions& options,
                                                  nn::WeightLayout layout = nn::WeightLayout::kPlain);
  LlamaDecoder(const LlamaConfig& config, Checkpoint checkpoint, const at::TensorOptions& options,
               nn::WeightLayout layout = nn::WeightLayout::kPlain);

  /// Copies the weights now, so that the first question does not wait for it. Until then the files stay mapped and must
  /// not be cut short; a file that is renamed over them changes nothing.
  void read_weights() const;

  const LlamaConfig& config() const { return config_; }
  const at::TensorOptions& options() const { return options_; }

  /// [T] ids to [T, d]. Throws kInvalidArgument for an id outside the vocabulary.
  at::Tensor embed(std::span<const TokenId> ids) const;

  /// x: [N, d], the rows of all sequences one after another: token embeddings or vectors of their space. Row i of a
  /// sequence has the position that follows the i rows before it and its cache's length. Linear layers run over all
  /// rows together, attention a sequence at a time. Result: [N, d] after the final norm.
  at::Tensor forward(const at::Tensor& x, std::span<const SequenceRows> sequences) const;
  at::Tensor forward(const at::Tensor& x, KvCache* cache = nullptr) const;  // one sequence
  /// The same for training, without caches: each layer runs once more in the backward pass and keeps only its input
  /// till then.
  at::Tensor forward_recomputed(const at::Tensor& x, std::span<const SequenceRows> sequences) const;

  /// [n, d] of forward's result to [n, vocab], fp32: pass only the rows whose logits are wanted.
  at::Tensor logits(const at::Tensor& hidden) const;

  Parameters parameters() const;  // a tied head is its embedding's
  KvCache make_cache(std::int64_t capacity = 0) const;
  std::uint64_t kv_bytes_per_position() const;

 private:
  struct Weights {
    nn::Embedding embedding;  // [vocab, d]
    std::vector<LlamaLayer> layers;
    nn::RmsNorm norm;
    nn::Linear lm_head;  // [vocab, d]; where they are tied and plain, the embedding's own tensor
  };
  static std::unique_ptr<const Weights> copy_weights(const LlamaConfig& config, const Checkpoint& checkpoint,
                                                     const at::TensorOptions& options, nn::WeightLayout layout);
  const Weights& weights() const;
  ForwardPass begin_pass(std::span<const SequenceRows> sequences) const;

  LlamaConfig config_;
  at::TensorOptions options_;
  nn::WeightLayout layout_;
  nn::Rotary rotary_;
  mutable std::once_flag read_once_;
  mutable std::unique_ptr<const Checkpoint> unread_;  // null once its weights were copied
  mutable std::unique_ptr<const Weights> weights_;    // null before
};

}  // namespace refrag

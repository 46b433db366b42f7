#pragma once
#include <ATen/core/Tensor.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/json_reader.h"
#include "base/token.h"
#include "model/roberta_encoder.h"
#include "text/tokenizer.h"

namespace refrag {

/// How a chunk of decoder ids becomes the encoder's input.
struct ChunkInput {
  /// Null: the encoder reads the decoder's ids as they are, between `start` and `end`. Else the chunk's text is
  /// tokenized by this tokenizer and wrapped as it wraps any text.
  std::shared_ptr<const Tokenizer> own_tokenizer = nullptr;
  std::optional<TokenId> start = std::nullopt;  // with shared ids only
  std::optional<TokenId> end = std::nullopt;
  Pooling pooling = Pooling::kCls;
  bool normalize = false;  // L2, after pooling
};

/// Chunks of decoder ids to vectors: the encoder and how ids enter it. Immutable and thread-safe.
class ChunkEncoder {
 public:
  ChunkEncoder(std::shared_ptr<const RobertaEncoder> encoder, std::shared_ptr<const Tokenizer> decoder_tokenizer,
               ChunkInput input);

  /// One fp32 vector a chunk, [chunks, width()]. Chunks of one text go together and in order: a tokenizer of the
  /// encoder's own reads the last character of a chunk whole, its rest from the next chunk. Throws kInvalidArgument for
  /// a chunk of shared ids that is empty or longer than the encoder.
  at::Tensor encode(const std::vector<std::vector<TokenId>>& chunks) const;
  std::size_t width() const { return encoder_->width(); }
  const EncoderConfig& config() const { return encoder_->config(); }
  Parameters parameters() const { return encoder_->parameters(); }
  const ChunkInput& input() const { return input_; }
  /// What decides the vectors, the decoder's tokenizer apart, for identities.
  Json describe() const;

 private:
  std::vector<EncoderInput> inputs_of(const std::vector<std::vector<TokenId>>& chunks) const;
  EncoderInput wrap(const std::vector<TokenId>& chunk) const;  // shared ids
  EncoderInput tokenize(const std::string& text) const;        // by the encoder's own tokenizer
  void warn_of_cut() const;

  std::shared_ptr<const RobertaEncoder> encoder_;
  std::shared_ptr<const Tokenizer> decoder_tokenizer_;
  ChunkInput input_;
  mutable std::atomic<std::uint64_t> cut_chunks_ = 0;  // longer than the encoder once tokenized anew
};

}  // namespace refrag

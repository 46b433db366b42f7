#pragma once
#include <ATen/core/Tensor.h>

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/json_reader.h"
#include "model/chunk_encoder.h"
#include "model/roberta_encoder.h"
#include "text/tokenizer.h"

namespace refrag {

/// What goes before a text, and how much of it is read.
struct TextEmbedderOptions {
  std::string query_prefix;
  std::string passage_prefix;
  std::size_t max_tokens = 0;  // 0: what the model was published with
};

/// Texts to vectors of length 1 for dense retrieval, by a bi-encoder of its own or by the chunk encoder. Immutable and
/// thread-safe.
class TextEmbedder {
 public:
  /// A directory as sentence-transformers publishes it: modules.json, 1_Pooling/config.json, sentence_bert_config.json,
  /// 2_Normalize. Without modules.json, mean pooling, as that library has it. Throws kUnsupported for a module or
  /// pooling that is not known, by name.
  static std::shared_ptr<const TextEmbedder> load(const std::filesystem::path& directory,
                                                  const TextEmbedderOptions& options,
                                                  const at::TensorOptions& tensor_options,
                                                  nn::WeightLayout layout = nn::WeightLayout::kPlain);
  /// The mean of the vectors of the text's chunks.
  TextEmbedder(std::shared_ptr<const ChunkEncoder> chunk_encoder, std::shared_ptr<const Tokenizer> decoder_tokenizer,
               std::size_t chunk_size, TextEmbedderOptions options);
  TextEmbedder(std::shared_ptr<const RobertaEncoder> encoder, std::shared_ptr<const Tokenizer> tokenizer,
               Pooling pooling, TextEmbedderOptions options);

  /// [texts, width()] fp32 on the CPU.
  at::Tensor embed_queries(const std::vector<std::string>& texts) const;
  at::Tensor embed_passages(const std::vector<std::string>& texts) const;
  std::size_t width() const;
  /// Whether a passage's vector follows from those of its chunks: the chunk encoder reads all of it and nothing else.
  bool passages_are_mean_of_chunks() const;
  /// The bi-encoder's; null where the chunk encoder does the work.
  const EncoderConfig* config() const { return encoder_ == nullptr ? nullptr : &encoder_->config(); }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  Parameters parameters() const { return encoder_->parameters(); }  // the bi-encoder's
  /// What decides the vectors, for identities. The chunk encoder has an identity of its own and is left out.
  Json describe() const;

 private:
  at::Tensor embed(const std::string& prefix, const std::vector<std::string>& texts) const;
  at::Tensor embed_whole(const std::string& prefix, const std::vector<std::string>& texts) const;
  at::Tensor embed_by_chunks(const std::string& prefix, const std::vector<std::string>& texts) const;

  std::shared_ptr<const RobertaEncoder> encoder_;      // or
  std::shared_ptr<const ChunkEncoder> chunk_encoder_;  // this one
  std::shared_ptr<const Tokenizer> tokenizer_;         // of whichever it is
  Pooling pooling_ = Pooling::kMean;
  std::size_t chunk_size_ = 0;
  TextEmbedderOptions options_;
};

}  // namespace refrag

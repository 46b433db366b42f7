#pragma once
#include <memory>
#include <optional>
#include <string>

#include "model/chunk_encoder.h"
#include "model/cross_encoder.h"
#include "model/expansion_policy.h"
#include "model/llama_decoder.h"
#include "model/projector.h"
#include "model/text_embedder.h"
#include "refrag/model_bundle.h"
#include "text/chat_template.h"
#include "text/prompt_template.h"
#include "text/tokenizer.h"

namespace refrag {

/// What a bundle holds once it is loaded. Parts that the directory lacks are null.
struct ModelBundle::Parts {
  /// A bundle of parts that were made, not loaded: identities are the caller's to fill in.
  static std::shared_ptr<const ModelBundle> assemble(std::unique_ptr<Parts> parts);

  std::string name;
  std::size_t chunk_size = 0;
  Identities identities;
  std::string identity_note;
  std::string projector_identity;
  PromptTemplate prompt;
  RetrieveMode default_retrieve = RetrieveMode::kHybrid;
  std::size_t passage_tokens = 256;
  ModelOptions options;  // as resolved: never kAuto, threads never 0

  std::shared_ptr<const Tokenizer> tokenizer;  // the decoder's
  std::optional<ChatTemplate> chat_template;
  std::shared_ptr<const LlamaDecoder> decoder;
  std::shared_ptr<const ChunkEncoder> chunk_encoder;  // encoder and its tokenizer: ids of the decoder to vectors
  std::shared_ptr<const Projector> projector;
  std::shared_ptr<const ExpansionPolicy> policy;
  std::shared_ptr<const TextEmbedder> retriever;  // retriever/, or the chunk encoder mean-pooled
  std::shared_ptr<const CrossEncoder> reranker;
};

}  // namespace refrag

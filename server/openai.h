#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/json_reader.h"
#include "engine/model_runner.h"
#include "refrag/query.h"
#include "server/parse.h"

namespace refrag::server {

/// POST /v1/chat/completions or /v1/completions.
struct CompletionRequest {
  Query query = {};
  bool stream = false;
  bool include_usage = false;    // one more chunk at the end of a stream
  bool logprobs = false;         // of the tokens that were picked, ...
  std::size_t top_logprobs = 0;  // ... and so many alternatives
};

struct EmbeddingsRequest {
  std::vector<std::string> texts = {};
  std::size_t tokens = 0;
  bool base64 = false;
};

/// Throws kNotFound, param "model", for any other name than the one served.
void check_model(const std::string& asked, const ModelInfo& model);

// What OpenAI's API has and we do not (tools, several choices, penalties) is refused by name, never passed over.
CompletionRequest parse_chat(const Json& json, const ModelInfo& model, bool has_knowledge_base,
                             const RequestLimits& limits);
CompletionRequest parse_completion(const Json& json, const ModelInfo& model, bool has_knowledge_base,
                                   const RequestLimits& limits);
EmbeddingsRequest parse_embeddings(const Json& json, const ModelInfo& model, const RequestLimits& limits);

Json render_embeddings(const std::vector<std::vector<float>>& vectors, const EmbeddingsRequest& request,
                       const std::string& model);
Json render_model(const ModelInfo& model, std::int64_t created);

/// One answer in the words of OpenAI's API: whole, or as the chunks of a stream.
class CompletionWire {
 public:
  enum class Kind { kChat, kText };
  CompletionWire(Kind kind, const CompletionRequest& request, std::string id, std::string model, std::int64_t created);

  Json whole(const Answer& answer) const;
  Json opening(const RetrievalReport& retrieval) const;  // the first chunk
  Json piece(const TokenEvent& token);                   // one after another: it counts where each token stands
  Json closing(const Answer& answer) const;              // carries the finish reason, citations and our own usage
  Json usage(const Answer& answer) const;                // where stream_options.include_usage asks for it

 private:
  Json envelope(bool is_chunk, Json choices) const;
  Json chunk(const Json& text, const Json& logprobs, const Json& finish_reason) const;
  Json logprobs(const std::vector<TokenEvent>& tokens, std::size_t text_offset) const;

  Kind kind_;
  bool logprobs_;
  std::size_t top_logprobs_;
  std::string id_;
  std::string model_;
  std::int64_t created_;
  std::size_t text_offset_ = 0;  // code points of the pieces so far
};

}  // namespace refrag::server

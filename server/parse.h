#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "base/json_reader.h"
#include "refrag/document.h"
#include "refrag/engine.h"
#include "refrag/query.h"
#include "server/http_types.h"

namespace refrag::server {

/// What a single request may ask for.
struct RequestLimits {
  std::size_t max_text_bytes = 64 * 1024;  // of a question, a search query or one text to embed
  std::size_t max_tokens = 4096;
};

struct QueryRequest {
  Query query;
  bool stream = false;
};

struct PageRequest {
  std::string after;
  std::size_t limit = 100;
};

// JSON to values. Every one throws kInvalidArgument that names the field which is wrong, missing or unknown, what was
// found and what was expected.
QueryRequest parse_query(const Json& json, const RequestLimits& limits);
SearchQuery parse_search(const Json& json, const RequestLimits& limits);
std::vector<Document> parse_documents(const Json& json);
Metadata parse_metadata(const Json& json, const std::string& path);
PageRequest parse_page(const HttpRequest& request);

// The parts that the OpenAI-compatible routes share with POST /v1/query.
std::string parse_text(JsonReader& reader, const std::string& name, const RequestLimits& limits);  // not empty
void parse_context(JsonReader& reader, Query& query);      // mode, retrieve, passages, order, expand, truncate, explain
void parse_sampling(JsonReader& reader, Query& query);     // temperature, top_p, top_k, min_p, repetition_penalty
std::vector<std::string> parse_stops(JsonReader& reader);  // "stop": one string or several
std::size_t parse_max_tokens(JsonReader& reader, const std::string& name, const RequestLimits& limits);

}  // namespace refrag::server

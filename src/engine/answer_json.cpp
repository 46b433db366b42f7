#include "engine/answer_json.h"

#include <iterator>
#include <type_traits>

namespace refrag {
namespace {

Json ranked(const std::optional<RankedScore>& score) {
  return score ? Json{{"score", score->score}, {"rank", score->rank}} : Json(nullptr);
}

Json to_json(const ChunkReport& chunk) {
  Json json = {{"start", chunk.start}, {"end", chunk.end}, {"state", name_of(chunk.state)}, {"reason", chunk.reason}};
  json["score"] = chunk.score ? Json(*chunk.score) : Json(nullptr);
  return json;
}

Json to_json(const Hit& hit, bool with_chunks) {
  Json json = {{"document_id", hit.document_id},
               {"passage_id", hit.passage_id},
               {"title", hit.title},
               {"text", hit.text},
               {"start", hit.start},
               {"end", hit.end},
               {"score", hit.score}};
  json["dense"] = ranked(hit.dense);
  json["lexical"] = ranked(hit.lexical);
  if (hit.rerank) {
    json["rerank"] = ranked(hit.rerank);
  }
  if (with_chunks) {
    json["chunks"] = Json::array();
    for (const ChunkReport& chunk : hit.chunks) {
      json["chunks"].push_back(to_json(chunk));
    }
  }
  return json;
}

/// What kind of fault an error is, in the words OpenAI's clients know.
const char* type_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kContextLengthExceeded:
    case ErrorCode::kUnsupported:
    case ErrorCode::kNotFound:
    case ErrorCode::kIdentityMismatch:
      return "invalid_request_error";
    case ErrorCode::kQueueFull:
    case ErrorCode::kBusy:
      return "rate_limit_error";
    default:
      return "server_error";
  }
}

}  // namespace

Json to_json(const Metadata& metadata) {
  Json json = Json::object();
  for (const auto& [key, value] : metadata) {
    std::visit([&json, &key = key](const auto& held) { json[key] = held; }, value);
  }
  return json;
}

Json to_json(const std::vector<Hit>& hits, bool with_chunks) {
  Json json = Json::array();
  for (const Hit& hit : hits) {
    json.push_back(to_json(hit, with_chunks));
  }
  return json;
}

Json to_json(const RetrievalReport& report) {
  return {{"empty", report.empty}, {"hits", to_json(report.hits, /*with_chunks=*/true)}};
}

Json to_json(const std::vector<Citation>& citations) {
  Json json = Json::array();
  for (const Citation& citation : citations) {
    json.push_back({{"document_id", citation.document_id},
                    {"passage_id", citation.passage_id},
                    {"start", citation.start},
                    {"end", citation.end}});
  }
  return json;
}

Json to_json(const Usage& usage) {
  return {{"question_tokens", usage.question_tokens},
          {"context_tokens", usage.context_tokens},
          {"prompt_positions", usage.prompt_positions},
          {"completion_tokens", usage.completion_tokens},
          {"chunks", usage.chunks},
          {"expanded", usage.expanded},
          {"expanded_while_decoding", usage.expanded_while_decoding},
          {"dropped_passages", usage.dropped_passages},
          {"encoded_chunks", usage.encoded_chunks}};
}

Json to_json(const Timings& timings) {
  return {{"queue", timings.queue},     {"retrieve", timings.retrieve}, {"lookup", timings.lookup},
          {"encode", timings.encode},   {"project", timings.project},   {"policy", timings.policy},
          {"prefill", timings.prefill}, {"ttft", timings.ttft},         {"per_token", timings.per_token},
          {"total", timings.total}};
}

Json to_json(const TokenEvent& token) {
  Json json = {{"text", token.text}, {"index", token.index}};
  json["logprob"] = token.logprob ? Json(*token.logprob) : Json(nullptr);
  if (!token.top.empty()) {
    json["top"] = Json::array();
    for (const TokenLogprob& other : token.top) {
      json["top"].push_back({{"text", other.text}, {"logprob", other.logprob}});
    }
  }
  return json;
}

Json to_json(const ExpansionEvent& expansion) {
  Json chunks = Json::array();
  for (const ChunkRef& chunk : expansion.chunks) {
    chunks.push_back({{"passage", chunk.passage}, {"chunk", chunk.chunk}});
  }
  return {{"at_token", expansion.at_token}, {"chunks", chunks}};
}

Json to_json(const Answer& answer) {
  Json json = {{"id", answer.id},
               {"model", answer.model},
               {"answer", answer.text},
               {"finish_reason", name_of(answer.finish_reason)},
               {"citations", to_json(answer.citations)},
               {"retrieval", to_json(answer.retrieval)},
               {"usage", to_json(answer.usage)},
               {"timings_ms", to_json(answer.timings)}};
  if (!answer.tokens.empty()) {
    json["tokens"] = Json::array();
    for (const TokenEvent& token : answer.tokens) {
      json["tokens"].push_back(to_json(token));
    }
  }
  return json;
}

Json to_json(const DocumentSummary& document) {
  return {{"id", document.id},
          {"title", document.title},
          {"passages", document.passages},
          {"chunks", document.chunks},
          {"metadata", to_json(document.metadata)}};
}

Json to_json(const DocumentPage& page) {
  Json documents = Json::array();
  for (const DocumentSummary& document : page.documents) {
    documents.push_back(to_json(document));
  }
  return {{"documents", documents}, {"next", page.next.empty() ? Json(nullptr) : Json(page.next)}};
}

Json to_json(const StoredDocument& stored) {
  Json passages = Json::array();
  for (const PassageSummary& passage : stored.passages) {
    passages.push_back(
        {{"id", passage.id}, {"start", passage.start}, {"end", passage.end}, {"chunks", passage.chunks}});
  }
  return {{"id", stored.document.id},
          {"title", stored.document.title},
          {"text", stored.document.text},
          {"metadata", to_json(stored.document.metadata)},
          {"passages", passages}};
}

Json to_json(const std::vector<DocumentResult>& results) {
  Json rows = Json::array();
  std::size_t counts[4] = {};
  for (const DocumentResult& result : results) {
    ++counts[static_cast<std::size_t>(result.status)];
    rows.push_back({{"id", result.id}, {"status", name_of(result.status)}});
    rows.back()["error"] = result.error.empty() ? Json(nullptr) : Json(result.error);
  }
  return {{"results", rows},
          {"created", counts[static_cast<std::size_t>(DocumentStatus::kCreated)]},
          {"replaced", counts[static_cast<std::size_t>(DocumentStatus::kReplaced)]},
          {"unchanged", counts[static_cast<std::size_t>(DocumentStatus::kUnchanged)]},
          {"errors", counts[static_cast<std::size_t>(DocumentStatus::kError)]}};
}

Json to_json(const KnowledgeBaseStats& stats) {
  return {{"documents", stats.documents},
          {"passages", stats.passages},
          {"chunks", stats.chunks},
          {"tokens", stats.tokens},
          {"segments", stats.segments},
          {"dead_rows", stats.dead_rows},
          {"bytes", stats.metadata_bytes + stats.vector_bytes},
          {"metadata_bytes", stats.metadata_bytes},
          {"vector_bytes", stats.vector_bytes},
          {"chunk_size", stats.schema.chunk_size},
          {"chunk_width", stats.schema.chunk_width},
          {"passage_width", stats.schema.passage_width},
          {"vector_format", name_of(stats.schema.vector_format)},
          {"model", stats.schema.model_name},
          {"identities", {{"chunks", stats.schema.identities.chunks}, {"passages", stats.schema.identities.passages}}}};
}

Json to_json(const Error& error) {
  return {{"message", error.what()},
          {"type", type_of(error.code())},
          {"param", error.param().empty() ? Json(nullptr) : Json(error.param())},
          {"code", name_of(error.code())}};
}

const char* name_of(const Event& event) {
  constexpr const char* kNames[] = {"retrieval", "token", "expansion", "done", "error"};
  static_assert(std::variant_size_v<Event> == std::size(kNames));
  return kNames[event.index()];
}

Json event_data(const Event& event) {
  return std::visit(
      [](const auto& held) {
        if constexpr (std::is_same_v<std::decay_t<decltype(held)>, Error>) {
          return Json{{"error", to_json(held)}};
        } else {
          return to_json(held);
        }
      },
      event);
}

Json event_json(const Event& event) { return {{"event", name_of(event)}, {"data", event_data(event)}}; }

}  // namespace refrag

#pragma once
#include <vector>

#include "base/json_reader.h"
#include "refrag/document.h"
#include "refrag/engine.h"
#include "refrag/knowledge_base.h"
#include "refrag/query.h"

namespace refrag {

// The JSON of every value that the HTTP API and the command line give out (docs/http-api.md), in one place. All text in
// the values is valid UTF-8.
Json to_json(const Metadata& metadata);
Json to_json(const Answer& answer);
Json to_json(const RetrievalReport& report);
/// `with_chunks` false: as POST /v1/search has it.
Json to_json(const std::vector<Hit>& hits, bool with_chunks);
Json to_json(const std::vector<Citation>& citations);
Json to_json(const Usage& usage);
Json to_json(const Timings& timings);
Json to_json(const TokenEvent& token);
Json to_json(const ExpansionEvent& expansion);
Json to_json(const DocumentSummary& document);
Json to_json(const DocumentPage& page);
Json to_json(const StoredDocument& stored);
Json to_json(const std::vector<DocumentResult>& results);  // with the counts by status
Json to_json(const KnowledgeBaseStats& stats);
Json to_json(const Error& error);  // {"message", "type", "param", "code"}

/// The name of an event on the wire: retrieval, token, expansion, done, error.
const char* name_of(const Event& event);
/// {"event": name, "data": ...}: one line of a streamed answer on the command line.
Json event_json(const Event& event);
/// The data of an event alone, as SSE carries it.
Json event_data(const Event& event);

}  // namespace refrag

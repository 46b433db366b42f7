#include "server/parse.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <utility>

#include "base/message.h"
#include "server/errors.h"

namespace refrag::server {
namespace {

constexpr std::int64_t kMaxInteger = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMaxTopK = 256;
constexpr std::int64_t kMaxPageSize = 1000;
constexpr std::size_t kMaxStops = 16;
constexpr std::int64_t kMaxLogprobs = 20;
constexpr std::size_t kMaxPassages = 1024;
constexpr double kMaxTtftMs = 3.6e6;  // an hour

std::optional<RetrieveMode> parse_retrieve_mode(JsonReader& reader) {
  constexpr std::size_t kDefault = 3;
  const std::size_t found = reader.one_of("mode", {"hybrid", "dense", "lexical"}, kDefault);
  if (found == kDefault) return std::nullopt;
  return static_cast<RetrieveMode>(found);
}

RetrieveOptions parse_retrieve(JsonReader& reader) {
  RetrieveOptions options;
  options.top_k =
      static_cast<std::size_t>(reader.integer("top_k", static_cast<std::int64_t>(options.top_k), 0, kMaxTopK));
  options.mode = parse_retrieve_mode(reader);
  options.filter = parse_metadata(reader.value("filter"), reader.path_of("filter"));
  options.min_score = reader.number("min_score", options.min_score, std::numeric_limits<double>::lowest(),
                                    std::numeric_limits<double>::max());
  reader.finish();
  return options;
}

std::vector<InlinePassage> parse_passages(JsonReader& reader) {
  std::vector<InlinePassage> passages;
  for (JsonReader& entry : reader.objects("passages")) {
    const std::string number = std::to_string(passages.size() + 1);
    passages.push_back({entry.text("id", "p" + number), entry.text("title", ""), entry.text("text")});
    entry.finish();
  }
  if (passages.size() > kMaxPassages) {
    refuse_field("passages", message("passages has ", passages.size(), " entries; expected at most ", kMaxPassages));
  }
  return passages;
}

ExpandOptions parse_expand(JsonReader reader) {
  ExpandOptions options;
  int budgets = 0;
  for (const char* name : {"fraction", "tokens", "ttft_ms"}) {
    reader.ignore(name);
    budgets += reader.has(name) ? 1 : 0;
  }
  if (reader.has("fraction")) options.fraction = reader.number("fraction", 0, 1);
  if (reader.has("tokens")) options.tokens = static_cast<std::size_t>(reader.integer("tokens", 0, kMaxInteger));
  if (reader.has("ttft_ms")) options.ttft_ms = reader.number("ttft_ms", 0, kMaxTtftMs);
  if (budgets > 1) refuse_field("expand", "expand has more than one of fraction, tokens and ttft_ms; expected one");
  options.by = static_cast<ExpandBy>(reader.one_of("by", {"policy", "random", "first", "similarity", "ids"}, 0));
  for (JsonReader& entry : reader.objects("ids")) {
    options.ids.push_back({static_cast<std::size_t>(entry.integer("passage", 0, kMaxInteger)),
                           static_cast<std::size_t>(entry.integer("chunk", 0, kMaxInteger))});
    entry.finish();
  }
  if (!options.ids.empty() && options.by != ExpandBy::kIds) {
    refuse_field("expand.ids",
                 message("expand.ids is set while expand.by is ", name_of(options.by), "; expected by: ids"));
  }
  JsonReader again = reader.object("while_decoding");
  ExpandWhileDecoding& while_decoding = options.while_decoding;
  while_decoding.every = static_cast<std::size_t>(again.integer("every", 0, 0, kMaxInteger));
  while_decoding.entropy = again.number("entropy", 0, 0, std::numeric_limits<double>::max());
  while_decoding.max_new = static_cast<std::size_t>(
      again.integer("max_new", static_cast<std::int64_t>(while_decoding.max_new), 0, kMaxInteger));
  again.finish();
  reader.finish();
  return options;
}

std::size_t parse_limit(const std::string& text) {
  std::int64_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error != std::errc() || end != text.data() + text.size() || limit < 1 || limit > kMaxPageSize) {
    refuse_field("limit", message("limit is \"", text, "\"; expected an integer, 1 to ", kMaxPageSize));
  }
  return static_cast<std::size_t>(limit);
}

}  // namespace

Metadata parse_metadata(const Json& json, const std::string& path) {
  Metadata metadata;
  if (json.is_null()) return metadata;
  if (!json.is_object()) refuse_field(path, path + " is not an object; expected one of strings, numbers and booleans");
  for (const auto& [key, value] : json.items()) {
    const std::string full = path + "." + key;
    if (value.is_string()) {
      metadata[key] = value.get<std::string>();
    } else if (value.is_boolean()) {
      metadata[key] = value.get<bool>();
    } else if (value.is_number_float()) {
      metadata[key] = value.get<double>();
    } else if (value.is_number_integer() &&
               (!value.is_number_unsigned() || value.get<std::uint64_t>() <= kMaxInteger)) {
      metadata[key] = value.get<std::int64_t>();
    } else {
      refuse_field(full, full + " is not a string, a number or a boolean");
    }
  }
  return metadata;
}

std::string parse_text(JsonReader& reader, const std::string& name, const RequestLimits& limits) {
  std::string text = reader.text(name);
  const std::string path = reader.path_of(name);
  if (text.empty()) refuse_field(path, path + " is empty; expected text");
  if (text.size() > limits.max_text_bytes) {
    refuse_field(path, message(path, " has ", text.size(), " bytes; expected at most ", limits.max_text_bytes));
  }
  return text;
}

void parse_context(JsonReader& reader, Query& query) {
  query.mode =
      static_cast<Mode>(reader.one_of("mode", {"refrag", "full", "none"}, static_cast<std::size_t>(query.mode)));
  JsonReader retrieve = reader.object("retrieve");
  query.retrieve = parse_retrieve(retrieve);
  if (reader.has("passages")) query.passages = parse_passages(reader);
  reader.ignore("passages");
  query.order = static_cast<PassageOrder>(reader.one_of("order", {"best_last", "best_first"}, 0));
  query.expand = parse_expand(reader.object("expand"));
  query.truncate = reader.boolean("truncate", query.truncate);
  query.explain = reader.boolean("explain", query.explain);
}

void parse_sampling(JsonReader& reader, Query& query) {
  SamplingOptions& sampling = query.sampling;
  sampling.temperature = reader.number("temperature", sampling.temperature, 0, 2);
  sampling.top_p = reader.number("top_p", sampling.top_p, 0, 1);
  sampling.top_k = static_cast<std::size_t>(reader.integer("top_k", 0, 0, kMaxInteger));
  sampling.min_p = reader.number("min_p", sampling.min_p, 0, 1);
  sampling.repetition_penalty = reader.number("repetition_penalty", sampling.repetition_penalty, 0.01, 100);
}

std::size_t parse_max_tokens(JsonReader& reader, const std::string& name, const RequestLimits& limits) {
  const Query defaults;
  const std::size_t fallback = std::min(defaults.max_tokens, limits.max_tokens);
  return static_cast<std::size_t>(
      reader.integer(name, static_cast<std::int64_t>(fallback), 1, static_cast<std::int64_t>(limits.max_tokens)));
}

std::vector<std::string> parse_stops(JsonReader& reader) {
  const Json& value = reader.value("stop");
  std::vector<std::string> stops = value.is_string() ? std::vector{value.get<std::string>()} : reader.texts("stop");
  if (stops.size() > kMaxStops) {
    refuse_field("stop", message("stop has ", stops.size(), " entries; expected at most ", kMaxStops));
  }
  for (std::size_t n = 0; n < stops.size(); ++n) {
    const std::string path = message(reader.path_of("stop"), '[', n, ']');
    if (stops[n].empty()) refuse_field(path, path + " is empty; expected text");
  }
  return stops;
}

QueryRequest parse_query(const Json& json, const RequestLimits& limits) {
  JsonReader reader(json);
  QueryRequest request;
  Query& query = request.query;
  query.question = parse_text(reader, "question", limits);
  parse_context(reader, query);
  parse_sampling(reader, query);
  query.sampling.seed = static_cast<std::uint64_t>(reader.integer("seed", 0, 0, kMaxInteger));
  query.max_tokens = parse_max_tokens(reader, "max_tokens", limits);
  query.stop = parse_stops(reader);
  query.logprobs = static_cast<std::size_t>(reader.integer("logprobs", 0, 0, kMaxLogprobs));
  request.stream = reader.boolean("stream", false);
  reader.finish();
  return request;
}

SearchQuery parse_search(const Json& json, const RequestLimits& limits) {
  JsonReader reader(json);
  SearchQuery search;
  search.query = parse_text(reader, "query", limits);
  search.retrieve = parse_retrieve(reader);  // its fields stand beside the query, and no others
  return search;
}

std::vector<Document> parse_documents(const Json& json) {
  JsonReader reader(json);
  if (!reader.has("documents")) reader.fail("documents", "an array of objects");
  std::vector<Document> documents;
  for (JsonReader& entry : reader.objects("documents")) {
    Document document{entry.text("id"), entry.text("title", ""), entry.text("text"), {}};
    document.metadata = parse_metadata(entry.value("metadata"), entry.path_of("metadata"));
    entry.finish();
    documents.push_back(std::move(document));
  }
  reader.finish();
  return documents;
}

PageRequest parse_page(const HttpRequest& request) {
  PageRequest page;
  for (const auto& [name, value] : request.query) {
    if (name == "after") {
      page.after = value;
    } else if (name == "limit") {
      page.limit = parse_limit(value);
    } else {
      refuse_field(name, message("unknown parameter ", name, "; expected limit, after"));
    }
  }
  return page;
}

}  // namespace refrag::server

#include "server/openai.h"

#include <openssl/evp.h>

#include <algorithm>
#include <bit>
#include <initializer_list>
#include <limits>
#include <utility>

#include "base/message.h"
#include "base/utf8.h"
#include "engine/answer_json.h"
#include "server/errors.h"

namespace refrag::server {
namespace {

constexpr std::size_t kMaxMessages = 1024;
constexpr std::size_t kMaxEmbeddingInputs = 2048;  // as OpenAI has it
constexpr std::int64_t kMaxTopLogprobs = 20;

/// For options that exist elsewhere: the values that ask for nothing pass, others are refused by name.
void accept_only(JsonReader& reader, const char* name, std::initializer_list<Json> accepted) {
  const Json& found = reader.value(name);
  if (found.is_null() || std::find(accepted.begin(), accepted.end(), found) != accepted.end()) return;
  const std::string expected = accepted.size() == 0 ? "no such field" : to_text(*accepted.begin());
  throw Error(ErrorCode::kUnsupported, message(reader.path_of(name), " is not supported here; expected ", expected),
              reader.path_of(name));
}

void pass_over_bookkeeping(JsonReader& reader) {
  reader.text("user", "");
  reader.boolean("store", false);
  for (const char* name : {"metadata", "service_tier", "safety_identifier", "prompt_cache_key"}) reader.ignore(name);
}

/// What chat and text completions have in common.
CompletionRequest parse_shared(JsonReader& reader, const ModelInfo& model) {
  CompletionRequest request;
  check_model(reader.text("model"), model);
  parse_sampling(reader, request.query);
  request.query.sampling.seed = static_cast<std::uint64_t>(
      reader.integer("seed", 0, std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()));
  request.query.stop = parse_stops(reader);
  request.stream = reader.boolean("stream", false);
  if (reader.has("stream_options") && !request.stream) {
    refuse_field("stream_options", "stream_options is set without stream; expected stream: true");
  }
  JsonReader options = reader.object("stream_options");
  request.include_usage = options.boolean("include_usage", false);
  options.boolean("include_obfuscation", false);
  options.finish();
  accept_only(reader, "n", {1});
  accept_only(reader, "presence_penalty", {0, 0.0});
  accept_only(reader, "frequency_penalty", {0, 0.0});
  accept_only(reader, "logit_bias", {Json::object()});
  pass_over_bookkeeping(reader);
  return request;
}

std::string parse_content(JsonReader& entry) {
  const Json& content = entry.value("content");
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) entry.fail("content", "a string or an array of text parts");
  std::string text;
  for (JsonReader& part : entry.objects("content")) {
    part.one_of("type", {"text"}, 0);
    text += part.text("text");
    part.finish();
  }
  return text;
}

ChatMessage parse_message(JsonReader& entry) {
  constexpr const char* kRoles[] = {"system", "user", "assistant", "system"};
  if (!entry.has("role")) entry.fail("role", "one of system, user, assistant, developer");
  const std::size_t role = entry.one_of("role", {"system", "user", "assistant", "developer"}, 0);
  ChatMessage result{kRoles[role], parse_content(entry)};
  entry.text("name", "");
  entry.ignore("refusal");
  entry.ignore("annotations");
  for (const char* name : {"tool_calls", "function_call", "audio"}) accept_only(entry, name, {});
  entry.finish();
  return result;
}

void parse_messages(JsonReader& reader, Query& query, const RequestLimits& limits) {
  if (!reader.has("messages")) reader.fail("messages", "an array of messages");
  std::vector<ChatMessage> messages;
  for (JsonReader& entry : reader.objects("messages")) {
    messages.push_back(parse_message(entry));
    if (messages.back().content.size() > limits.max_text_bytes) {
      refuse_field(entry.path_of("content"), message(entry.path_of("content"), " has ", messages.back().content.size(),
                                                     " bytes; expected at most ", limits.max_text_bytes));
    }
  }
  if (messages.empty() || messages.size() > kMaxMessages) {
    refuse_field("messages", message("messages has ", messages.size(), " entries; expected 1 to ", kMaxMessages));
  }
  const std::string last = message("messages[", messages.size() - 1, ']');
  if (messages.back().role != "user") {
    refuse_field(last + ".role",
                 message(last, ".role is ", messages.back().role, "; expected the last message to be the user's"));
  }
  if (messages.back().content.empty()) refuse_field(last + ".content", last + ".content is empty; expected a question");
  query.question = std::move(messages.back().content);
  messages.pop_back();
  query.history = std::move(messages);
}

void parse_chat_logprobs(JsonReader& reader, CompletionRequest& request) {
  request.logprobs = reader.boolean("logprobs", false);
  request.top_logprobs = static_cast<std::size_t>(reader.integer("top_logprobs", 0, 0, kMaxTopLogprobs));
  if (request.top_logprobs > 0 && !request.logprobs) {
    refuse_field("top_logprobs", "top_logprobs is set without logprobs; expected logprobs: true");
  }
}

std::size_t parse_chat_max_tokens(JsonReader& reader, const RequestLimits& limits) {
  const bool is_old_name = !reader.has("max_completion_tokens") && reader.has("max_tokens");
  const std::size_t tokens = parse_max_tokens(reader, is_old_name ? "max_tokens" : "max_completion_tokens", limits);
  if (parse_max_tokens(reader, "max_tokens", limits) != tokens && reader.has("max_tokens")) {
    refuse_field("max_tokens", "max_tokens and max_completion_tokens differ; expected one of them");
  }
  reader.ignore("max_completion_tokens");
  return tokens;
}

/// The engine counts alternatives; one is enough to learn the picked token's own.
void ask_for_logprobs(CompletionRequest& request) {
  if (request.logprobs) request.query.logprobs = std::max<std::size_t>(1, request.top_logprobs);
}

/// "refrag": what POST /v1/query has and OpenAI has not. Clients that know nothing of it get the best this server can
/// do.
void parse_extras(JsonReader& extras, Query& query, const ModelInfo& model, bool has_knowledge_base) {
  const bool has_context = has_knowledge_base || extras.has("passages");
  query.mode = !has_context ? Mode::kNone : model.chunk_size > 0 ? Mode::kRefrag : Mode::kFull;
  parse_context(extras, query);
  extras.finish();
}

std::string parse_prompt(JsonReader& reader, const RequestLimits& limits) {
  const Json& prompt = reader.value("prompt");
  if (!prompt.is_array()) return parse_text(reader, "prompt", limits);
  if (!prompt.empty() && !prompt.front().is_string()) {
    throw Error(ErrorCode::kUnsupported, "prompt is an array of token ids; expected text", "prompt");
  }
  const std::vector<std::string> prompts = reader.texts("prompt");
  if (prompts.size() != 1 || prompts.front().empty()) {
    refuse_field("prompt", message("prompt has ", prompts.size(), " entries; expected one text that is not empty"));
  }
  return prompts.front();
}

bool is_token_array(const Json& json) {
  return json.is_array() && !json.empty() &&
         std::all_of(json.begin(), json.end(), [](const Json& id) { return id.is_number_integer(); });
}

std::string text_of_tokens(const Json& ids, const std::string& path, const ModelInfo& model) {
  std::vector<TokenId> tokens;
  for (const Json& id : ids) {
    const bool is_known = id.is_number_unsigned() && id.get<std::uint64_t>() < model.vocab_size;
    if (!is_known) {
      refuse_field(path,
                   message(path, " has the token id ", id.dump(), "; expected ids of this model's own tokenizer, 0 to ",
                           model.vocab_size - 1, ", or text"));
    }
    tokens.push_back(id.get<TokenId>());
  }
  return model.tokenizer->decode(tokens);
}

std::string input_text(const Json& input, const std::string& path, const ModelInfo& model,
                       const RequestLimits& limits) {
  if (!input.is_string() && !is_token_array(input))
    refuse_field(path, path + " is neither text nor an array of token ids");
  std::string text = input.is_string() ? input.get<std::string>() : text_of_tokens(input, path, model);
  if (text.empty()) refuse_field(path, path + " is empty; expected text");
  if (text.size() > limits.max_text_bytes) {
    refuse_field(path, message(path, " has ", text.size(), " bytes; expected at most ", limits.max_text_bytes));
  }
  return text;
}

std::vector<std::string> parse_inputs(JsonReader& reader, const ModelInfo& model, const RequestLimits& limits) {
  const Json& input = reader.value("input");
  if (input.is_null()) reader.fail("input", "text, token ids, or an array of them");
  if (!input.is_array() || is_token_array(input)) return {input_text(input, "input", model, limits)};
  if (input.empty() || input.size() > kMaxEmbeddingInputs) {
    refuse_field("input", message("input has ", input.size(), " entries; expected 1 to ", kMaxEmbeddingInputs));
  }
  std::vector<std::string> texts;
  for (const Json& element : input) {
    texts.push_back(input_text(element, message("input[", texts.size(), ']'), model, limits));
  }
  return texts;
}

/// Little-endian float32, as OpenAI's clients unpack it.
std::string base64_of(const std::vector<float>& vector) {
  static_assert(std::endian::native == std::endian::little);
  const std::size_t bytes = vector.size() * sizeof(float);
  std::string text((bytes + 2) / 3 * 4 + 1, '\0');  // and a NUL that OpenSSL writes
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(vector.data()), static_cast<int>(bytes));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

/// OpenAI knows no word for an answer that was cut short; to its clients that is an end by length.
const char* finish_reason_of(const Answer& answer) {
  return answer.finish_reason == FinishReason::kStop ? "stop" : "length";
}

Json usage_of(const Answer& answer) {
  const std::size_t prompt = answer.usage.prompt_positions;
  const std::size_t completion = answer.usage.completion_tokens;
  return {{"prompt_tokens", prompt}, {"completion_tokens", completion}, {"total_tokens", prompt + completion}};
}

Json extras_of(const Answer& answer) {
  return {{"citations", to_json(answer.citations)},
          {"retrieval", to_json(answer.retrieval)},
          {"usage", to_json(answer.usage)},
          {"timings_ms", to_json(answer.timings)}};
}

Json chat_logprob(const std::string& text, double logprob) {
  Json bytes = Json::array();
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return {{"token", text}, {"logprob", logprob}, {"bytes", bytes}};
}

Json chat_logprobs(const std::vector<TokenEvent>& tokens, std::size_t top) {
  Json content = Json::array();
  for (const TokenEvent& token : tokens) {
    Json entry = chat_logprob(token.text, token.logprob.value_or(0));
    entry["top_logprobs"] = Json::array();
    for (std::size_t n = 0; n < std::min(top, token.top.size()); ++n) {
      entry["top_logprobs"].push_back(chat_logprob(token.top[n].text, token.top[n].logprob));
    }
    content.push_back(std::move(entry));
  }
  return {{"content", content}, {"refusal", nullptr}};
}

/// `offset` is where the first token stands in the answer, in code points.
Json text_logprobs(const std::vector<TokenEvent>& tokens, std::size_t top, std::size_t offset) {
  Json json = {{"tokens", Json::array()},
               {"token_logprobs", Json::array()},
               {"top_logprobs", Json::array()},
               {"text_offset", Json::array()}};
  for (const TokenEvent& token : tokens) {
    json["tokens"].push_back(token.text);
    json["token_logprobs"].push_back(token.logprob.value_or(0));
    json["text_offset"].push_back(offset);
    Json alternatives = Json::object();
    for (std::size_t n = 0; n < std::min(top, token.top.size()); ++n) {
      alternatives[token.top[n].text] = token.top[n].logprob;
    }
    json["top_logprobs"].push_back(std::move(alternatives));
    offset += count_code_points(token.text);
  }
  return json;
}

}  // namespace

void check_model(const std::string& asked, const ModelInfo& model) {
  if (asked == model.name) return;
  throw Error(ErrorCode::kNotFound, message("model \"", asked, "\" is not served here; expected \"", model.name, '"'),
              "model");
}

CompletionRequest parse_chat(const Json& json, const ModelInfo& model, bool has_knowledge_base,
                             const RequestLimits& limits) {
  JsonReader reader(json);
  CompletionRequest request = parse_shared(reader, model);
  Query& query = request.query;
  parse_messages(reader, query, limits);
  parse_chat_logprobs(reader, request);
  ask_for_logprobs(request);
  query.max_tokens = parse_chat_max_tokens(reader, limits);
  JsonReader extras = reader.object("refrag");
  parse_extras(extras, query, model, has_knowledge_base);
  accept_only(reader, "response_format", {{{"type", "text"}}});
  accept_only(reader, "tools", {Json::array()});
  accept_only(reader, "tool_choice", {"none", "auto"});
  accept_only(reader, "functions", {Json::array()});
  accept_only(reader, "modalities", {Json::array({"text"})});
  reader.boolean("parallel_tool_calls", true);
  reader.finish();
  return request;
}

CompletionRequest parse_completion(const Json& json, const ModelInfo& model, bool has_knowledge_base,
                                   const RequestLimits& limits) {
  JsonReader reader(json);
  CompletionRequest request = parse_shared(reader, model);
  Query& query = request.query;
  query.question = parse_prompt(reader, limits);
  query.max_tokens = parse_max_tokens(reader, "max_tokens", limits);
  request.logprobs = reader.has("logprobs");
  request.top_logprobs = static_cast<std::size_t>(reader.integer("logprobs", 0, 0, kMaxTopLogprobs));
  ask_for_logprobs(request);
  query.raw_prompt = !reader.has("refrag");  // with our extras, the prompt is a question in the model's template
  JsonReader extras = reader.object("refrag");
  parse_extras(extras, query, model, has_knowledge_base);
  if (query.raw_prompt) query.mode = Mode::kNone;
  accept_only(reader, "echo", {false});
  accept_only(reader, "suffix", {""});
  accept_only(reader, "best_of", {1});
  reader.finish();
  return request;
}

EmbeddingsRequest parse_embeddings(const Json& json, const ModelInfo& model, const RequestLimits& limits) {
  JsonReader reader(json);
  check_model(reader.text("model"), model);
  EmbeddingsRequest request;
  request.texts = parse_inputs(reader, model, limits);
  request.base64 = reader.one_of("encoding_format", {"float", "base64"}, 0) == 1;
  accept_only(reader, "dimensions", {model.passage_width});
  pass_over_bookkeeping(reader);
  reader.finish();
  for (const std::string& text : request.texts) request.tokens += model.tokenizer->encode(text).size();
  return request;
}

Json render_embeddings(const std::vector<std::vector<float>>& vectors, const EmbeddingsRequest& request,
                       const std::string& model) {
  Json data = Json::array();
  for (const std::vector<float>& vector : vectors) {
    data.push_back({{"object", "embedding"}, {"index", data.size()}});
    data.back()["embedding"] = request.base64 ? Json(base64_of(vector)) : Json(vector);
  }
  return {{"object", "list"},
          {"data", data},
          {"model", model},
          {"usage", {{"prompt_tokens", request.tokens}, {"total_tokens", request.tokens}}}};
}

Json render_model(const ModelInfo& model, std::int64_t created) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", created},
          {"owned_by", "refrag"},
          {"context_length", model.context_length},
          {"chunk_size", model.chunk_size},
          {"embedding_width", model.passage_width}};
}

CompletionWire::CompletionWire(Kind kind, const CompletionRequest& request, std::string id, std::string model,
                               std::int64_t created)
    : kind_(kind),
      logprobs_(request.logprobs),
      top_logprobs_(request.top_logprobs),
      id_((kind == Kind::kChat ? "chatcmpl-" : "cmpl-") + std::move(id)),
      model_(std::move(model)),
      created_(created) {}

Json CompletionWire::whole(const Answer& answer) const {
  Json choice = {{"index", 0}, {"finish_reason", finish_reason_of(answer)}, {"logprobs", logprobs(answer.tokens, 0)}};
  if (kind_ == Kind::kChat) {
    choice["message"] = {{"role", "assistant"}, {"content", answer.text}, {"refusal", nullptr}};
  } else {
    choice["text"] = answer.text;
  }
  Json json = envelope(false, Json::array({std::move(choice)}));
  json["usage"] = usage_of(answer);
  json["refrag"] = extras_of(answer);
  return json;
}

Json CompletionWire::opening(const RetrievalReport& retrieval) const {
  Json json = chunk("", nullptr, nullptr);
  if (kind_ == Kind::kChat) json["choices"][0]["delta"]["role"] = "assistant";
  json["refrag"] = {{"retrieval", to_json(retrieval)}};
  return json;
}

Json CompletionWire::piece(const TokenEvent& token) {
  Json json = chunk(token.text, logprobs({token}, text_offset_), nullptr);
  text_offset_ += count_code_points(token.text);
  return json;
}

Json CompletionWire::closing(const Answer& answer) const {
  Json json = chunk(nullptr, nullptr, finish_reason_of(answer));
  json["refrag"] = extras_of(answer);
  return json;
}

Json CompletionWire::usage(const Answer& answer) const {
  Json json = envelope(true, Json::array());
  json["usage"] = usage_of(answer);
  return json;
}

Json CompletionWire::envelope(bool is_chunk, Json choices) const {
  const char* object = kind_ == Kind::kText ? "text_completion"
                       : is_chunk           ? "chat.completion.chunk"
                                            : "chat.completion";
  return {{"id", id_}, {"object", object}, {"created", created_}, {"model", model_}, {"choices", std::move(choices)}};
}

Json CompletionWire::chunk(const Json& text, const Json& logprobs, const Json& finish_reason) const {
  Json choice = {{"index", 0}, {"logprobs", logprobs}, {"finish_reason", finish_reason}};
  if (kind_ == Kind::kChat) {
    choice["delta"] = text.is_null() ? Json::object() : Json{{"content", text}};
  } else {
    choice["text"] = text.is_null() ? Json("") : text;
  }
  return envelope(true, Json::array({std::move(choice)}));
}

Json CompletionWire::logprobs(const std::vector<TokenEvent>& tokens, std::size_t text_offset) const {
  if (!logprobs_) return nullptr;
  if (kind_ == Kind::kChat) return chat_logprobs(tokens, top_logprobs_);
  return text_logprobs(tokens, top_logprobs_, text_offset);
}

}  // namespace refrag::server

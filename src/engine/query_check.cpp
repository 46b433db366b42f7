#include "engine/query_check.h"

#include <cmath>

#include "base/message.h"
#include "base/utf8.h"
#include "engine/budget.h"
#include "engine/selection.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::size_t kMostLogprobs = 20;
constexpr std::size_t kMostStops = 16;

template <typename Value>
[[noreturn]] void refuse(const std::string& field, const Value& found, const char* expected) {
  throw Error(ErrorCode::kInvalidArgument, message(field, " is ", found, "; expected ", expected), field);
}

void check_sampling(const SamplingOptions& options) {
  if (!(std::isfinite(options.temperature) && options.temperature >= 0)) {
    refuse("temperature", options.temperature, "0 or more");
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) refuse("top_p", options.top_p, "more than 0, up to 1");
  if (!(options.min_p >= 0 && options.min_p <= 1)) refuse("min_p", options.min_p, "0 to 1");
  if (!(options.repetition_penalty >= 0.01 && options.repetition_penalty <= 100)) {
    refuse("repetition_penalty", options.repetition_penalty, "0.01 to 100");
  }
}

void check_stops(const std::vector<std::string>& stops) {
  if (stops.size() > kMostStops) {
    throw Error(ErrorCode::kInvalidArgument, message("stop has ", stops.size(), " texts; expected up to ", kMostStops),
                "stop");
  }
  for (std::size_t n = 0; n < stops.size(); ++n) {
    const std::string field = message("stop[", n, "]");
    if (stops[n].empty()) refuse(field, "empty", "some text");
    if (!is_valid_utf8(stops[n])) refuse(field, "not UTF-8", "valid UTF-8");
  }
}

void check_history(const std::vector<ChatMessage>& history) {
  for (std::size_t n = 0; n < history.size(); ++n) {
    const std::string& role = history[n].role;
    if (!is_valid_utf8(history[n].content)) refuse(message("history[", n, "].content"), "not UTF-8", "valid UTF-8");
    if (role != "system" && role != "user" && role != "assistant") {
      refuse(message("history[", n, "].role"), message('"', role, '"'), "system, user or assistant");
    }
  }
}

void check_abilities(const Query& query, const ModelInfo& model) {
  if (query.mode != Mode::kRefrag || query.raw_prompt) return;
  if (model.chunk_size == 0) {
    throw Error(ErrorCode::kUnsupported,
                message("model ", model.name, " has no chunk encoder; expected mode full or none"), "mode");
  }
  const ExpandOptions& expand = query.expand;
  const bool is_all_or_none = needs_no_ranking(expand);
  const bool looks_while_decoding = expand.while_decoding.every > 0 || expand.while_decoding.entropy > 0;
  const bool asks_policy = (expand.by == ExpandBy::kPolicy && !is_all_or_none) ||
                           (looks_while_decoding && (expand.by == ExpandBy::kPolicy || expand.by == ExpandBy::kIds));
  if (asks_policy && !model.has_policy) {
    throw Error(
        ErrorCode::kUnsupported,
        message("model ", model.name, " has no expansion policy; expected expand.by random, first or similarity"),
        "expand.by");
  }
}

}  // namespace

void check_query(const Query& query, const ModelInfo& model, const EngineConfig& config) {
  if (query.question.empty()) refuse("question", "empty", "some text");
  if (!is_valid_utf8(query.question)) refuse("question", "not UTF-8", "valid UTF-8");
  if (query.max_tokens < 1 || query.max_tokens > config.max_tokens_limit) {
    refuse("max_tokens", query.max_tokens, message("1 to ", config.max_tokens_limit).c_str());
  }
  if (query.logprobs > kMostLogprobs) refuse("logprobs", query.logprobs, "0 to 20");
  if (query.raw_prompt && query.passages) refuse("passages", "given with a raw prompt", "one of them");
  check_sampling(query.sampling);
  check_stops(query.stop);
  check_history(query.history);
  check_expand_options(query.expand);
  check_abilities(query, model);
}

}  // namespace refrag

#pragma once
#include <string>
#include <string_view>

#include "base/json_reader.h"

namespace refrag::server {

// Server-sent events. JSON on one line holds no line break, so one "data:" line is always enough.
std::string sse_event(std::string_view name, const Json& data);
std::string sse_data(const Json& data);  // without a name, as OpenAI's streams have it
inline constexpr std::string_view kSseDone = "data: [DONE]\n\n";
inline constexpr std::string_view kSseKeepAlive = ": keep-alive\n\n";  // a comment: keeps proxies from hanging up

}  // namespace refrag::server

#pragma once
#include <exception>
#include <string>

#include "base/json_reader.h"
#include "refrag/error.h"
#include "server/http_types.h"

namespace refrag::server {

/// JSON on one line. What is not UTF-8 (a client's own bytes in a message) becomes U+FFFD instead of an exception.
std::string to_text(const Json& json);

/// The one table from error codes to HTTP status.
int status_of(ErrorCode code);

/// {"error": {"message", "type", "param", "code"}}, as OpenAI's clients expect it.
std::string error_json(const Error& error);
std::string error_json(int status, const std::string& code, const std::string& message);

/// A request that cannot be served as it is: kInvalidArgument with the name of the field.
[[noreturn]] void refuse_field(const std::string& param, const std::string& text);

/// The answer to whatever a handler threw. A fault of ours is logged with `request_id` and told without its insides.
HttpResponse error_response(std::exception_ptr thrown, const std::string& request_id);

}  // namespace refrag::server

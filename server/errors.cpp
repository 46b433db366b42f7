#include "server/errors.h"

#include <string_view>

#include "base/log.h"
#include "base/message.h"
#include "engine/answer_json.h"

namespace refrag::server {
namespace {

constexpr int kStatusClientClosedRequest = 499;  // nginx's number; nobody is left to read it but the log

std::string_view type_of(int status) {
  if (status == 401) return "authentication_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

HttpResponse response_of(const Error& error, const std::string& request_id) {
  HttpResponse response;
  response.status = status_of(error.code());
  response.body = error_json(error);
  if (response.status == 429 || response.status == 409 || response.status == 503) {
    if (error.code() != ErrorCode::kIdentityMismatch) response.headers.emplace_back("Retry-After", "1");
  }
  if (response.status >= 500) log_error(message("request ", request_id, ": ", error.what()));
  return response;
}

}  // namespace

std::string to_text(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

void refuse_field(const std::string& param, const std::string& text) {
  throw Error(ErrorCode::kInvalidArgument, text, param);
}

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kContextLengthExceeded:
    case ErrorCode::kUnsupported:
      return 400;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kTimeout:
      return 408;
    case ErrorCode::kIdentityMismatch:
    case ErrorCode::kBusy:
      return 409;
    case ErrorCode::kQueueFull:
      return 429;
    case ErrorCode::kCancelled:
      return kStatusClientClosedRequest;
    case ErrorCode::kUnavailable:
      return 503;
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
    case ErrorCode::kInternal:
      return 500;
  }
  return 500;
}

std::string error_json(const Error& error) { return to_text({{"error", to_json(error)}}); }

std::string error_json(int status, const std::string& code, const std::string& message) {
  const Json error = {{"message", message}, {"type", type_of(status)}, {"param", nullptr}, {"code", code}};
  return to_text({{"error", error}});
}

HttpResponse error_response(std::exception_ptr thrown, const std::string& request_id) {
  try {
    std::rethrow_exception(std::move(thrown));
  } catch (const HttpError& error) {
    HttpResponse response;
    response.status = error.status();
    response.body = error_json(error.status(), error.code(), error.what());
    response.headers = error.headers();
    return response;
  } catch (const Error& error) {
    return response_of(error, request_id);
  } catch (const std::exception& error) {
    log_error(message("request ", request_id, ": ", error.what()));
    HttpResponse response;
    response.status = 500;
    response.body = error_json(500, name_of(ErrorCode::kInternal),
                               message("the server failed; its log tells more under request ", request_id));
    return response;
  }
}

}  // namespace refrag::server

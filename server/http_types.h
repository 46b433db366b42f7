#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace refrag::server {

/// A refusal that HTTP itself knows (401, 404, 405, 413, ...): what the library has no ErrorCode for.
class HttpError : public std::runtime_error {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  HttpError(int status, std::string code, const std::string& message, Headers headers = {})
      : std::runtime_error(message), status_(status), code_(std::move(code)), headers_(std::move(headers)) {}
  int status() const noexcept { return status_; }
  const std::string& code() const noexcept { return code_; }
  const Headers& headers() const noexcept { return headers_; }

 private:
  int status_;
  std::string code_;  // the word in the error's JSON, such as "payload_too_large"
  Headers headers_;
};

using TakeBytes = std::function<void(std::string_view)>;

/// What a route sees of a request. Valid while its handler, or the stream it answered with, runs.
struct HttpRequest {
  std::string method;  // upper case
  std::string path;    // percent-escapes decoded, without the query
  std::multimap<std::string, std::string> query;
  std::string content_type;  // media type in small letters, without parameters
  std::string id;            // the client's X-Request-Id where it is a sane one, else ours
  std::string remote;        // address of the peer
  std::optional<std::chrono::steady_clock::time_point> arrived;  // its head

  std::function<std::string(const std::string& name)> header;  // empty where absent
  /// Hands over the body piece by piece, decompressed; what `take` throws comes out again. Throws HttpError for a body
  /// over `max_bytes` (413), a slow one (408) and a broken one (400). Once a request.
  std::function<void(std::size_t max_bytes, const TakeBytes& take)> read_body;
  std::function<bool()> client_gone;  // the peer closed the connection, or its sending half

  std::string body(std::size_t max_bytes) const;
};

/// Sends bytes at once; false when the client is gone: then stop.
using SendBytes = std::function<bool(std::string_view)>;

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body = {};
  HttpError::Headers headers = {};
  /// Instead of `body`: called once, after the headers, on the connection's thread.
  std::function<void(const SendBytes& send)> stream = {};
};

struct Route {
  std::string method;
  std::string path;                        // exactly, or everything below it where it ends in '*'
  std::vector<std::string> content_types;  // of a body; empty: takes none
  bool guarded = true;                     // needs an API key where keys are set
  std::function<HttpResponse(const HttpRequest&)> handler;

  bool matches(std::string_view request_path) const;
};

/// One finished request, for the access log and the metrics.
struct Finished {
  std::string method = {};
  std::string route = {};  // the pattern, not the path: few different values
  std::string path = {};
  std::string id = {};
  std::string remote = {};
  int status = 0;
  double milliseconds = 0;
};

}  // namespace refrag::server

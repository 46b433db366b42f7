#include "server/http_server.h"

#include <httplib.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <strings.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <exception>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/message.h"
#include "refrag/error.h"
#include "server/body_decoder.h"
#include "server/connection.h"
#include "server/errors.h"

namespace refrag::server {
namespace {

constexpr std::size_t kRefusingThreads = 4;  // on top of those that serve: they tell the rest 503
constexpr int kListenBacklog = 512;          // httplib asks for 5, which a burst of clients overflows

/// Percent-escapes to bytes; empty for a broken escape or a NUL.
std::optional<std::string> decode_percent(std::string_view text, bool plus_is_space) {
  std::string result;
  for (std::size_t n = 0; n < text.size(); ++n) {
    if (text[n] == '%') {
      unsigned value = 0;
      if (n + 2 >= text.size()) return std::nullopt;
      const auto [end, error] = std::from_chars(text.data() + n + 1, text.data() + n + 3, value, 16);
      if (error != std::errc() || end != text.data() + n + 3 || value == 0) return std::nullopt;
      result += static_cast<char>(value);
      n += 2;
    } else {
      result += plus_is_space && text[n] == '+' ? ' ' : text[n];
    }
  }
  return result;
}

[[noreturn]] void fail_request(const std::string& message) { throw HttpError(400, "bad_request", message); }

std::string decoded_or_fail(std::string_view text, bool plus_is_space) {
  std::optional<std::string> decoded = decode_percent(text, plus_is_space);
  if (!decoded) fail_request("the request's path has a broken percent-escape");
  return *std::move(decoded);
}

void split_target(std::string_view target, HttpRequest& request) {
  const std::size_t mark = target.find('?');
  request.path = decoded_or_fail(target.substr(0, mark), false);
  if (mark == std::string_view::npos) return;
  std::string_view rest = target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = std::min(pair.find('='), pair.size());
    const std::string_view value = equals < pair.size() ? pair.substr(equals + 1) : std::string_view();
    request.query.emplace(decoded_or_fail(pair.substr(0, equals), true), decoded_or_fail(value, true));
  }
}

std::string media_type(std::string_view header) {
  header = header.substr(0, header.find(';'));
  while (!header.empty() && header.back() == ' ') header.remove_suffix(1);
  std::string type(header);
  std::transform(type.begin(), type.end(), type.begin(), [](unsigned char c) { return std::tolower(c); });
  return type;
}

bool is_sane_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == ':';
  });
}

std::string raw_response(int status, const std::string& code, const std::string& text) {
  const std::string body = error_json(status, code, text);
  return message("HTTP/1.1 ", status, " ", code, "\r\nContent-Type: application/json\r\nContent-Length: ", body.size(),
                 status == 503 ? "\r\nRetry-After: 1" : "", "\r\nConnection: close\r\n\r\n", body);
}

/// httplib says no more than that it failed, and `error` (errno) means nothing where the name was not found.
std::string reason_of_bind_failure(const std::string& host, int error) {
  addrinfo* found = nullptr;
  const int result = ::getaddrinfo(host.c_str(), nullptr, nullptr, &found);
  if (result != 0) return ::gai_strerror(result);
  ::freeaddrinfo(found);
  return std::strerror(error);
}

using TlsContext = std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)>;

TlsContext make_tls(const HttpServerOptions& options) {
  if (options.tls_certificate.empty() && options.tls_key.empty()) return {nullptr, SSL_CTX_free};
  if (options.tls_certificate.empty() || options.tls_key.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "tls_cert and tls_key belong together; only one is set", "tls_cert");
  }
  TlsContext context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  if (SSL_CTX_use_certificate_chain_file(context.get(), options.tls_certificate.c_str()) != 1) {
    throw Error(ErrorCode::kInvalidArgument,
                message(options.tls_certificate, " is not a certificate chain in PEM that can be read"), "tls_cert");
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), options.tls_key.c_str(), SSL_FILETYPE_PEM) != 1) {
    throw Error(ErrorCode::kInvalidArgument, message(options.tls_key, " is not the certificate's private key in PEM"),
                "tls_key");
  }
  return context;
}

/// One request on its way through httplib's callbacks.
struct Exchange {
  Connection& connection;
  HttpRequest request = {};
  const Route* route = nullptr;  // null where the path is unknown
  Stopwatch since_start = {};
  int status = 0;
  bool begun = false;        // the head could be parsed
  bool is_http_1_0 = false;  // knows no chunks: a stream ends with the connection
  bool has_body = false;
  std::optional<std::size_t> declared_bytes = {};
  bool body_was_read = false;
  bool must_close = false;
};

/// httplib gives a request no room for a server's own data, but copies `progress`, which only its clients call.
struct ExchangeTag {
  Exchange* exchange;
  bool operator()(std::uint64_t, std::uint64_t) const { return true; }
};

Exchange* exchange_of(const httplib::Request& request) {
  const ExchangeTag* tag = request.progress.target<ExchangeTag>();
  return tag == nullptr ? nullptr : tag->exchange;
}

/// A body's length as the head declares it. Throws where two readers of this head could disagree.
void read_framing(const httplib::Request& raw, Exchange& exchange) {
  const std::string encoding = raw.get_header_value("Transfer-Encoding");
  const std::size_t lengths = raw.get_header_value_count("Content-Length");
  if (raw.get_header_value_count("Transfer-Encoding") > 1 || lengths > 1 || (lengths == 1 && !encoding.empty())) {
    fail_request("the request declares the length of its body more than once");
  }
  if (!encoding.empty()) {
    if (media_type(encoding) != "chunked") throw HttpError(501, "unsupported", "Transfer-Encoding is not chunked");
    exchange.has_body = true;
    return;
  }
  if (lengths == 0) return;
  const std::string text = raw.get_header_value("Content-Length");
  std::size_t length = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
  if (error != std::errc() || end != text.data() + text.size()) fail_request("Content-Length is not a number");
  exchange.declared_bytes = length;
  exchange.has_body = length > 0;
}

void read_body(Exchange& exchange, const httplib::ContentReader* reader, std::size_t max_bytes, const TakeBytes& take) {
  const auto too_large = [&] {
    return HttpError(413, "payload_too_large", message("the body is larger than ", max_bytes, " bytes"));
  };
  if (!exchange.has_body || reader == nullptr) return;
  if (exchange.declared_bytes.value_or(0) > max_bytes) throw too_large();
  const std::unique_ptr<BodyDecoder> decoder = make_body_decoder(exchange.request.header("Content-Encoding"));
  std::size_t unpacked = 0;
  const TakeBytes take_measured = [&](std::string_view bytes) {
    unpacked += bytes.size();
    if (unpacked > max_bytes) throw too_large();
    take(bytes);
  };
  std::exception_ptr refused;
  std::size_t received = 0;
  exchange.connection.begin_body();
  const bool whole = (*reader)([&](const char* data, std::size_t size) {
    received += size;
    try {
      if (received > max_bytes) throw too_large();
      decoder->feed({data, size}, take_measured);
    } catch (...) {  // not through httplib, which would take it for a fault of the handler after half a body
      refused = std::current_exception();
    }
    return refused == nullptr;
  });
  if (refused) std::rethrow_exception(refused);
  if (!whole && exchange.connection.timed_out()) throw HttpError(408, "timeout", "the body came too slowly");
  // httplib takes a chunk that is longer than it said for the end of the body; the rest would be the next request.
  const bool is_cut = !exchange.declared_bytes && !exchange.connection.read_an_empty_line();
  if (!whole || is_cut || !decoder->is_whole()) {
    fail_request("the body ended early, or its chunks or its compression are broken");
  }
  exchange.body_was_read = true;
}

}  // namespace

std::string HttpRequest::body(std::size_t max_bytes) const {
  std::string whole;
  read_body(max_bytes, [&](std::string_view piece) { whole += piece; });
  return whole;
}

bool Route::matches(std::string_view request_path) const {
  if (path.back() != '*') return request_path == path;
  const std::string_view prefix = std::string_view(path).substr(0, path.size() - 1);
  return request_path.size() > prefix.size() && request_path.substr(0, prefix.size()) == prefix;
}

class HttpServer::Listener : public httplib::Server {
 public:
  Listener(std::vector<Route> routes, HttpServerHooks hooks, HttpServerOptions options)
      : routes_(std::move(routes)), hooks_(std::move(hooks)), options_(std::move(options)), tls_(make_tls(options_)) {
    new_task_queue = [this] { return new httplib::ThreadPool(options_.max_connections + kRefusingThreads); };
    // Not httplib's SO_REUSEPORT, with which a second server on the same port would take half of our clients.
    set_socket_options([](socket_t socket) {
      const int on = 1;
      ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    set_keep_alive_timeout(options_.connection.keep_alive_timeout.count() / 1000);
    set_pre_routing_handler([this](const httplib::Request& raw, httplib::Response& response) {
      return begin(raw, response) ? HandlerResponse::Handled : HandlerResponse::Unhandled;
    });
    Post("/", [this](const httplib::Request& raw, httplib::Response& response, const httplib::ContentReader& reader) {
      answer(*exchange_of(raw), response, &reader);
    });
    set_error_handler(HandlerWithResponse([](const httplib::Request&, httplib::Response& response) {
      if (response.body.empty()) {  // httplib's own refusals: the head could not be parsed
        response.set_content(error_json(response.status, "bad_request", "the request is not valid HTTP/1.1"),
                             "application/json");
      }
      return HandlerResponse::Handled;
    }));
    set_logger([](const httplib::Request& raw, const httplib::Response& response) {
      if (Exchange* exchange = exchange_of(raw)) exchange->status = response.status;
    });
  }

  int bind(const std::string& host, int port) {
    errno = 0;
    const int bound = port == 0 ? bind_to_any_port(host) : bind_to_port(host, port) ? port : -1;
    if (bound <= 0 || ::listen(svr_sock_, kListenBacklog) != 0) {
      const std::string reason = reason_of_bind_failure(host, errno);
      throw Error(ErrorCode::kIo, message("cannot listen on ", host, ":", port, ": ", reason), "port");
    }
    return bound;
  }

  void run() {
    listen_after_bind();
    if (!stopping_) throw Error(ErrorCode::kIo, "no more connections can be accepted: the listening socket failed");
  }

  // Not httplib's stop(): that one also cuts off the streams that are being answered.
  void stop_serving() {
    const std::lock_guard lock(mutex_);
    if (stopping_.exchange(true)) return;
    ::shutdown(svr_sock_, SHUT_RDWR);
    for (const int socket : waiting_) ::shutdown(socket, SHUT_RD);
  }

 private:
  bool process_and_close_socket(socket_t socket) override {
    struct Count {
      std::atomic<std::size_t>& value;
      const std::size_t before = value.fetch_add(1);
      ~Count() { --value; }
    } open{open_};
    Connection connection(socket, tls_.get(), options_.connection);
    try {
      if (open.before >= options_.max_connections) {
        refuse(connection, 503, "unavailable", "too many connections; try again");
      } else if (connection.handshake()) {
        serve(connection, socket);
      }
    } catch (const std::exception&) {  // memory: give up this connection, not the process
    }
    connection.finish();
    return true;
  }

  void serve(Connection& connection, socket_t socket) {
    for (bool open = true; open && !stopping_;) {
      switch (wait_for_request(connection, socket)) {
        case Connection::Head::kClosed:
          return;
        case Connection::Head::kTimedOut:
          return refuse(connection, 408, "timeout", "the request came too slowly");
        case Connection::Head::kTooLarge:
          return refuse(connection, 431, "head_too_large", "the request's head is too large");
        case Connection::Head::kMalformed:
          return refuse(connection, 400, "bad_request", "a line of the request's head does not end with CR LF");
        case Connection::Head::kComplete:
          open = exchange(connection);
      }
    }
  }

  /// Registered while it waits, so that stop_serving can wake it.
  Connection::Head wait_for_request(Connection& connection, socket_t socket) {
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return Connection::Head::kClosed;
      waiting_.insert(socket);
    }
    const Connection::Head head = connection.read_head();
    const std::lock_guard lock(mutex_);
    waiting_.erase(socket);
    return head;
  }

  /// One request and its answer; false: the connection is done.
  bool exchange(Connection& connection) {
    Exchange exchange{.connection = connection};
    bool closed = false;
    const bool sent = process_request(connection, false, closed, [&](httplib::Request& raw) { set_up(raw, exchange); });
    if (!exchange.begun) exchange.status = 400;
    if (hooks_.on_finished) {
      hooks_.on_finished({exchange.request.method, exchange.route == nullptr ? "" : exchange.route->path,
                          exchange.request.path, exchange.request.id, exchange.request.remote, exchange.status,
                          exchange.since_start.elapsed_ms()});
    }
    return sent && !closed && exchange.begun && !exchange.must_close;
  }

  void set_up(httplib::Request& raw, Exchange& exchange) {
    exchange.begun = true;
    HttpRequest& request = exchange.request;
    request.method = raw.method;
    request.remote = raw.remote_addr;
    request.content_type = media_type(raw.get_header_value("Content-Type"));
    request.id = raw.get_header_value("X-Request-Id");
    if (!is_sane_request_id(request.id)) request.id = message("r-", process_tag_, "-", ++requests_);
    request.header = [headers = raw.headers](const std::string& name) {
      const auto found = headers.equal_range(name);
      return found.first == found.second ? std::string() : found.first->second;
    };
    exchange.is_http_1_0 = raw.version == "HTTP/1.0";
    request.client_gone = [&exchange] { return exchange.connection.peer_gone(); };
    request.arrived = exchange.since_start.start();
    raw.progress = ExchangeTag{&exchange};
    raw.path = "/";  // routing is ours: httplib decodes paths first, and matches them with std::regex
    // httplib would parse multipart bodies itself, with std::regex again; our handlers see the bytes. It would unpack
    // bodies without noticing that they break off, and answer ranges, which a handler may not expect.
    for (const char* name : {"Content-Type", "Content-Encoding", "Range"}) raw.headers.erase(name);
    raw.ranges.clear();
  }

  /// Before the body: true where the answer is there already.
  bool begin(const httplib::Request& raw, httplib::Response& response) {
    Exchange& exchange = *exchange_of(raw);
    try {
      split_target(raw.target, exchange.request);
      read_framing(raw, exchange);
      find_route(exchange);
    } catch (...) {
      send(exchange, response, error_response(std::current_exception(), exchange.request.id));
      return true;
    }
    if (exchange.request.method == "POST") return false;
    answer(exchange, response, nullptr);
    return true;
  }

  void find_route(Exchange& exchange) {
    HttpRequest& request = exchange.request;
    const std::string method = request.method == "HEAD" ? "GET" : request.method;
    std::string allowed;
    for (const Route& route : routes_) {
      if (!route.matches(request.path)) continue;
      exchange.route = &route;
      if (route.method == method) break;
      allowed += route.method + ", ";
    }
    if (method == "OPTIONS" && exchange.route != nullptr) return;  // a browser asks before it may send its key
    check_origin(request);
    if (exchange.route == nullptr || exchange.route->guarded) hooks_.guard(request);
    if (exchange.route == nullptr) throw HttpError(404, "not_found", message("no route ", request.path));
    if (exchange.route->method != method) {
      throw HttpError(405, "method_not_allowed", message(request.method, " is not a method of ", request.path),
                      {{"Allow", allowed + "OPTIONS"}});
    }
    check_media_type(*exchange.route, request);
  }

  /// Browsers let any page send a form here, its visitor's files included, without asking us first.
  void check_origin(const HttpRequest& request) const {
    if (request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS") return;
    const std::string origin = request.header("Origin");
    if (origin.empty() || options_.cors_origin == "*" || origin == options_.cors_origin) return;
    const std::size_t scheme_end = origin.find("://");
    const bool is_ours = scheme_end != std::string::npos &&
                         strcasecmp(origin.c_str() + scheme_end + 3, request.header("Host").c_str()) == 0;
    if (!is_ours) {
      throw HttpError(403, "forbidden_origin", message("pages of ", origin, " may not send this; see --cors-origin"));
    }
  }

  /// What curl and urllib say where their user said nothing. Not from a browser (they send Origin), which knows what it
  /// sends.
  static bool is_untyped(const HttpRequest& request) {
    return (request.content_type.empty() || request.content_type == "application/x-www-form-urlencoded") &&
           request.header("Origin").empty();
  }

  static void check_media_type(const Route& route, const HttpRequest& request) {
    if (route.content_types.empty()) return;
    const auto& types = route.content_types;
    if (std::find(types.begin(), types.end(), request.content_type) == types.end() && !is_untyped(request)) {
      std::string expected;
      for (const std::string& type : types) expected += (expected.empty() ? "" : ", ") + type;
      throw HttpError(415, "unsupported_media_type",
                      message("Content-Type is \"", request.content_type, "\"; expected ", expected));
    }
    const std::string encoding = request.header("Content-Encoding");
    if (!encoding.empty() && encoding != "identity" && encoding != "gzip" && encoding != "deflate" &&
        encoding != "br") {
      throw HttpError(415, "unsupported_media_type",
                      message("Content-Encoding is \"", encoding, "\"; expected gzip, deflate or br"));
    }
  }

  void answer(Exchange& exchange, httplib::Response& response, const httplib::ContentReader* reader) {
    exchange.request.read_body = [this, &exchange, reader](std::size_t max_bytes, const TakeBytes& take) {
      read_body(exchange, reader, max_bytes, [&](std::string_view piece) {
        if (stopping_) throw Error(ErrorCode::kUnavailable, "the server is shutting down");
        take(piece);
      });
    };
    try {
      send(exchange, response,
           exchange.request.method == "OPTIONS" ? options_response(exchange.request.path)
                                                : exchange.route->handler(exchange.request));
    } catch (...) {
      send(exchange, response, error_response(std::current_exception(), exchange.request.id));
    }
  }

  HttpResponse options_response(const std::string& path) const {
    HttpResponse response;
    response.status = 204;
    std::string methods;
    for (const Route& route : routes_) {
      if (route.matches(path)) methods += route.method + ", ";
    }
    methods += "OPTIONS";
    response.headers.emplace_back("Allow", methods);
    if (!options_.cors_origin.empty()) {
      response.headers.emplace_back("Access-Control-Allow-Methods", methods);
      response.headers.emplace_back("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Request-Id");
      response.headers.emplace_back("Access-Control-Max-Age", "600");
    }
    return response;
  }

  void send(Exchange& exchange, httplib::Response& raw, HttpResponse response) {
    raw.status = response.status;
    for (const auto& [name, value] : response.headers) raw.set_header(name, value);
    raw.set_header("X-Request-Id", exchange.request.id);
    raw.set_header("X-Content-Type-Options", "nosniff");
    if (!options_.cors_origin.empty()) {
      raw.set_header("Access-Control-Allow-Origin", options_.cors_origin);
      raw.set_header("Vary", "Origin");
    }
    // What is left of a body would be read as the next request.
    exchange.must_close = stopping_ || (exchange.has_body && !exchange.body_was_read);
    if (response.stream) {
      send_stream(exchange, raw, std::move(response));
    } else if (response.status != 204) {
      raw.set_content(response.body, response.content_type);
    }
    if (exchange.must_close) raw.set_header("Connection", "close");
  }

  static void send_stream(Exchange& exchange, httplib::Response& raw, HttpResponse response) {
    auto provider = [stream = std::move(response.stream)](std::size_t, httplib::DataSink& sink) {
      bool gone = false;
      try {
        stream([&](std::string_view bytes) {
          gone = gone || !sink.write(bytes.data(), bytes.size());
          return !gone;
        });
      } catch (const std::exception&) {
        gone = true;  // the headers are out: all that is left is to cut the answer short
      }
      if (!gone) sink.done();
      return !gone;
    };
    if (exchange.is_http_1_0) {
      exchange.must_close = true;
      raw.set_content_provider(response.content_type, std::move(provider));
    } else {
      raw.set_chunked_content_provider(response.content_type, std::move(provider));
    }
  }

  void refuse(Connection& connection, int status, const std::string& code, const std::string& text) {
    const std::string bytes = raw_response(status, code, text);
    for (std::size_t sent = 0; sent < bytes.size();) {
      const ssize_t count = connection.write(bytes.data() + sent, bytes.size() - sent);
      if (count <= 0) break;
      sent += static_cast<std::size_t>(count);
    }
    if (hooks_.on_finished) hooks_.on_finished({"", "", "", "", "", status, 0});
  }

  const std::vector<Route> routes_;
  const HttpServerHooks hooks_;
  const HttpServerOptions options_;
  const TlsContext tls_;
  const std::uint32_t process_tag_ = std::random_device{}();
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<std::size_t> open_{0};
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::set<socket_t> waiting_;  // guarded by mutex_; connections between two requests
};

HttpServer::HttpServer(std::vector<Route> routes, HttpServerHooks hooks, HttpServerOptions options)
    : listener_(std::make_unique<Listener>(std::move(routes), std::move(hooks), std::move(options))) {}
HttpServer::~HttpServer() = default;
int HttpServer::bind(const std::string& host, int port) { return listener_->bind(host, port); }
void HttpServer::run() { listener_->run(); }
void HttpServer::stop() { listener_->stop_serving(); }

}  // namespace refrag::server

#pragma once
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "server/connection_limits.h"
#include "server/http_types.h"

namespace refrag::server {

struct HttpServerOptions {
  std::size_t max_connections = 128;  // one thread each; one more gets 503
  ConnectionLimits connection;
  std::string cors_origin;      // "*" or one origin that browsers may call from; empty: none
  std::string tls_certificate;  // PEM files; both or none
  std::string tls_key;
};

/// What surrounds every route.
struct HttpServerHooks {
  std::function<void(const HttpRequest&)> guard;     // throws HttpError for a request without a valid key
  std::function<void(const Finished&)> on_finished;  // any thread, after the answer was sent
};

/// HTTP/1.1 over cpp-httplib: finds the route, checks method, media type and size, turns exceptions into error JSON,
/// and bounds what a client can cost. A route's handler runs on its connection's thread.
class HttpServer {
 public:
  /// Throws kInvalidArgument or kNotFound for a certificate that cannot be used.
  HttpServer(std::vector<Route> routes, HttpServerHooks hooks, HttpServerOptions options);
  ~HttpServer();

  /// Returns the port; 0 picks a free one. Throws kIo where the address cannot be had.
  int bind(const std::string& host, int port);
  /// Serves until `stop`, then finishes what is being answered. Throws kIo where it can accept no more connections.
  void run();
  void stop();  // any thread; idempotent

 private:
  class Listener;
  std::unique_ptr<Listener> listener_;  // httplib lives behind this pointer
};

}  // namespace refrag::server

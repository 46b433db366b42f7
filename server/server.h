#pragma once
#include <memory>

#include "server/auth.h"
#include "server/backend.h"
#include "server/config.h"
#include "server/http_server.h"
#include "server/metrics.h"
#include "server/routes.h"

namespace refrag::server {

EngineConfig engine_config(const ServerConfig& config);

/// refrag-server without its model: the API over HTTP, with keys, metrics and an access log.
class Server {
 public:
  /// Throws kInvalidArgument or kNotFound for keys or certificates that cannot be used.
  explicit Server(const ServerConfig& config);

  int bind();  // returns the port
  /// Serves until `shut_down`; call from a thread of its own. Throws kIo where it can accept no more connections.
  void run();
  /// Ready from now on. Until then /healthz answers, and all else that needs the model gets 503.
  void set_backend(std::shared_ptr<Backend> backend);
  /// New questions get 503, running ones have drain_seconds to end and are then cancelled; `run` returns.
  void shut_down();

 private:
  const ServerConfig config_;
  const ApiKeys keys_;
  Metrics metrics_;
  Routes routes_;
  HttpServer http_;
};

}  // namespace refrag::server

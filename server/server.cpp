#include "server/server.h"

#include <chrono>
#include <sstream>
#include <utility>

#include "base/log.h"
#include "base/message.h"

namespace refrag::server {
namespace {

std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

ApiKeys keys_of(const ServerConfig& config) {
  std::vector<std::string> keys;
  std::istringstream list(config.api_keys);
  for (std::string key; std::getline(list, key, ',');) keys.push_back(key);
  if (!config.api_key_file.empty()) {
    for (std::string& key : ApiKeys::read_file(config.api_key_file)) keys.push_back(std::move(key));
  }
  return ApiKeys(keys);
}

RoutesOptions routes_options(const ServerConfig& config) {
  RoutesOptions options;
  options.limits = {config.max_text_bytes, config.max_tokens};
  options.generation.time = milliseconds_of(config.request_seconds);
  options.max_body_bytes = config.max_body_bytes;
  options.max_bulk_bytes = config.max_bulk_bytes;
  return options;
}

HttpServerOptions http_options(const ServerConfig& config) {
  HttpServerOptions options;
  options.max_connections = config.max_connections;
  options.connection.read_timeout = milliseconds_of(config.read_seconds);
  options.connection.write_timeout = milliseconds_of(config.write_seconds);
  options.connection.keep_alive_timeout = milliseconds_of(config.keep_alive_seconds);
  options.cors_origin = config.cors_origin;
  options.tls_certificate = config.tls_cert;
  options.tls_key = config.tls_key;
  return options;
}

void log_access(const Finished& finished) {
  const std::string text = message(finished.remote, ' ', finished.method, ' ',
                                   Json(finished.path).dump(-1, ' ', true, Json::error_handler_t::replace), ' ',
                                   finished.status, ' ', finished.milliseconds, " ms ", finished.id);
  log_record(text, {{"method", finished.method},
                    {"path", finished.path},
                    {"status", finished.status},
                    {"ms", finished.milliseconds},
                    {"remote", finished.remote},
                    {"request_id", finished.id}});
}

}  // namespace

EngineConfig engine_config(const ServerConfig& config) {
  EngineConfig engine;
  engine.max_queue = config.max_queue;
  engine.max_running = config.max_running;
  engine.kv_cache_bytes = config.kv_cache_bytes;
  engine.max_context = config.max_context;
  engine.max_tokens_limit = config.max_tokens;
  return engine;
}

Server::Server(const ServerConfig& config)
    : config_(config),
      keys_(keys_of(config)),
      routes_(routes_options(config), metrics_),
      http_(routes_.table(),
            {.guard = [this](const HttpRequest& request) { keys_.check(request); },
             .on_finished =
                 [this](const Finished& finished) {
                   metrics_.count_request(finished);
                   log_access(finished);
                 }},
            http_options(config)) {}

int Server::bind() { return http_.bind(config_.host, static_cast<int>(config_.port)); }

void Server::run() { http_.run(); }

void Server::set_backend(std::shared_ptr<Backend> backend) { routes_.set_backend(std::move(backend)); }

void Server::shut_down() {
  routes_.begin_draining();
  const auto patience = milliseconds_of(config_.drain_seconds);
  const auto deadline = std::chrono::steady_clock::now() + patience;
  bool all_ended = true;
  try {
    const std::shared_ptr<Backend> backend = routes_.backend();
    all_ended = backend->engine.drain(static_cast<std::size_t>(patience.count()));
  } catch (const Error&) {  // no model yet: nothing runs
  }
  all_ended &= routes_.drain_until(deadline);
  if (!all_ended) log_warning("requests still run after drain_seconds: they are cancelled");
  routes_.give_up();
  http_.stop();
}

}  // namespace refrag::server

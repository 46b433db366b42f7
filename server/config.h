#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

namespace refrag::server {

/// Everything refrag-server can be told. Every member is a flag (--max-queue), an environment variable
/// (REFRAG_MAX_QUEUE) and a key of the --config file ("max_queue"): flags win over the environment, it over the file.
struct ServerConfig {
  std::string model;
  std::string kb;
  std::string host = "127.0.0.1";
  std::size_t port = 8080;

  std::size_t threads = 0;
  std::string dtype = "auto";
  std::string device = "cpu";
  std::string vector_format = "fp16";

  std::size_t max_running = 8;
  std::size_t max_queue = 64;
  std::size_t kv_cache_bytes = 0;
  std::size_t max_context = 0;
  std::size_t max_tokens = 4096;

  std::size_t max_connections = 128;
  std::size_t max_body_bytes = 16u << 20;
  std::size_t max_bulk_bytes = 1u << 30;
  std::size_t max_text_bytes = 64u << 10;
  double request_seconds = 300;
  double read_seconds = 10;
  double write_seconds = 10;
  double keep_alive_seconds = 30;
  double drain_seconds = 30;

  std::string api_keys;
  std::string api_key_file;
  std::string cors_origin;
  std::string tls_cert;
  std::string tls_key;

  std::string log_level = "info";
  std::string log_format = "text";
};

/// Looks up an environment variable; empty where it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// The configuration that a command line asks for; nothing where it asked for --help, --version or --print-config,
/// which `out` then got. Throws kInvalidArgument (or kNotFound for the file) that names the flag, variable or key.
std::optional<ServerConfig> read_config(const std::vector<std::string>& arguments, const Environment& environment,
                                        std::ostream& out);

/// As a --config file has it, keys and certificates' paths included but API keys left out.
std::string config_json(const ServerConfig& config);

}  // namespace refrag::server

#pragma once
#include <chrono>
#include <cstddef>

namespace refrag::server {

/// What one client may cost before it has been answered.
struct ConnectionLimits {
  std::chrono::milliseconds read_timeout{10'000};        // for a head, and between two pieces of a body
  std::chrono::milliseconds write_timeout{10'000};       // for a client that does not read
  std::chrono::milliseconds keep_alive_timeout{30'000};  // between two requests
  std::size_t max_head_bytes = 32 * 1024;
  std::size_t min_body_rate = 1024;  // bytes a second that a body must average once read_timeout is spent waiting
};

}  // namespace refrag::server

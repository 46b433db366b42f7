#pragma once
#include <httplib.h>
#include <openssl/ssl.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "server/connection_limits.h"

namespace refrag::server {

/// One accepted socket, with or without TLS, as the stream that cpp-httplib parses requests from. It stands in for
/// httplib's own to keep what that one loses: bytes read ahead of the next request, a limit in time and size on the
/// head, and the socket itself, by which a handler sees that its client has gone. Used by one thread.
class Connection : public httplib::Stream {
 public:
  /// Takes the socket over. `tls` may be null; else `handshake` comes first.
  Connection(int socket, SSL_CTX* tls, const ConnectionLimits& limits);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() override;

  bool handshake();

  enum class Head { kComplete, kClosed, kTimedOut, kTooLarge, kMalformed };
  /// Waits for the head of the next request and keeps it for `read`, so that parsing never waits.
  Head read_head();
  /// Forgets how long the last body took.
  void begin_body();
  /// Why the last read failed: the client was too slow.
  bool timed_out() const { return timed_out_; }
  /// Whether what was read last ended with an empty line, as a chunked body must.
  bool read_an_empty_line() const { return last_read_ == "\r\n\r\n"; }
  bool peer_gone() const;
  /// Tells the peer that nothing more comes, and takes in what it still sends for a moment: closing at once would
  /// reset the connection, and the peer might lose our last answer.
  void finish();

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* data, size_t size) override;
  ssize_t write(const char* data, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  /// httplib compares it with FD_SETSIZE for its own select(2); we wait with poll(2), which has no such limit.
  socket_t socket() const override { return -1; }

 private:
  using Milliseconds = std::chrono::milliseconds;
  bool wait_for(short events, Milliseconds timeout) const;
  /// At least one byte, 0 at the end, -1 on error or after `timeout`.
  ssize_t receive(char* data, std::size_t size, Milliseconds timeout);
  bool wait_for_tls(int result, Milliseconds timeout) const;
  Milliseconds time_left_for_body() const;
  bool extend_buffer(Milliseconds timeout);

  int socket_;
  ConnectionLimits limits_;
  std::unique_ptr<SSL, decltype(&SSL_free)> tls_;
  std::string buffer_;  // received, not yet read
  std::size_t consumed_ = 0;
  std::string last_read_;  // the last bytes that were read, at most 4
  std::size_t body_bytes_ = 0;
  Milliseconds waited_for_body_{0};
  bool timed_out_ = false;
};

}  // namespace refrag::server

#include "server/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace refrag::server {
namespace {

using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kPieceBytes = 16 * 1024;

milliseconds left_until(SteadyClock::time_point deadline) {
  return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(deadline - SteadyClock::now()));
}

// We answer no ranges, and httplib matches this header with std::regex, whose recursion grows with the header.
void drop_range_headers(std::string& head, std::size_t end) {
  for (std::size_t line = head.find("\r\n"); line < end;) {
    const std::size_t next = head.find("\r\n", line + 2);
    if (strncasecmp(head.c_str() + line + 2, "range", 5) != 0) {
      line = next;
      continue;
    }
    head.erase(line, next - line);
    end -= next - line;
  }
}

/// httplib ends a line at every LF, but skips one that lacks its CR: what it reads there, `drop_range_headers` and
/// whoever stands in front of us would not see.
bool has_bare_line_feed(std::string_view head, std::size_t from) {
  for (std::size_t at = head.find('\n', from); at != std::string_view::npos; at = head.find('\n', at + 1)) {
    if (at == 0 || head[at - 1] != '\r') return true;
  }
  return false;
}

void address_of(const sockaddr_storage& storage, std::string& ip, int& port) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    port = ntohs(v4.sin_port);
  } else if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    port = ntohs(v6.sin6_port);
  }
  ip = text.data();
}

}  // namespace

Connection::Connection(int socket, SSL_CTX* tls, const ConnectionLimits& limits)
    : socket_(socket), limits_(limits), tls_(tls == nullptr ? nullptr : SSL_new(tls), SSL_free) {
  fcntl(socket_, F_SETFL, fcntl(socket_, F_GETFL) | O_NONBLOCK);
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // a token is a small packet that should not wait
  if (tls_) SSL_set_fd(tls_.get(), socket_);
}

Connection::~Connection() { ::close(socket_); }

bool Connection::handshake() {
  if (!tls_) return true;
  const auto deadline = SteadyClock::now() + limits_.read_timeout;
  for (;;) {
    ERR_clear_error();  // SSL_get_error also looks at what earlier calls of this thread left
    const int result = SSL_accept(tls_.get());
    if (result == 1) return true;
    if (!wait_for_tls(result, left_until(deadline))) return false;
  }
}

Connection::Head Connection::read_head() {
  buffer_.erase(0, consumed_);
  consumed_ = 0;
  timed_out_ = false;
  if (buffer_.empty() && !extend_buffer(limits_.keep_alive_timeout)) return Head::kClosed;
  const auto deadline = SteadyClock::now() + limits_.read_timeout;
  for (std::size_t searched = 0;;) {
    const std::size_t end = buffer_.find("\r\n\r\n", searched);
    if (has_bare_line_feed(std::string_view(buffer_).substr(0, end), searched)) return Head::kMalformed;
    if (end <= limits_.max_head_bytes) {
      drop_range_headers(buffer_, end);
      return Head::kComplete;
    }
    if (buffer_.size() > limits_.max_head_bytes) return Head::kTooLarge;
    searched = buffer_.size() < 3 ? 0 : buffer_.size() - 3;
    if (!extend_buffer(left_until(deadline))) return timed_out_ ? Head::kTimedOut : Head::kClosed;
  }
}

void Connection::begin_body() {
  body_bytes_ = 0;
  waited_for_body_ = milliseconds(0);
  timed_out_ = false;
}

bool Connection::peer_gone() const {
  pollfd state{socket_, POLLRDHUP, 0};
  return ::poll(&state, 1, 0) > 0 && (state.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

void Connection::finish() {
  if (tls_) SSL_shutdown(tls_.get());
  ::shutdown(socket_, SHUT_WR);
  const auto deadline = SteadyClock::now() + milliseconds(500);
  std::array<char, kPieceBytes> ignored;
  for (std::size_t taken = 0; taken < (1u << 20) && wait_for(POLLIN, left_until(deadline));) {
    const ssize_t count = ::recv(socket_, ignored.data(), ignored.size(), 0);
    if (count <= 0) return;
    taken += static_cast<std::size_t>(count);
  }
}

bool Connection::is_readable() const { return consumed_ < buffer_.size() || wait_for(POLLIN, milliseconds(0)); }

bool Connection::is_writable() const { return !peer_gone() && wait_for(POLLOUT, limits_.write_timeout); }

ssize_t Connection::read(char* data, size_t size) {
  if (consumed_ == buffer_.size() && !extend_buffer(time_left_for_body())) return -1;
  const std::size_t count = std::min(size, buffer_.size() - consumed_);
  std::memcpy(data, buffer_.data() + consumed_, count);
  consumed_ += count;
  body_bytes_ += count;
  last_read_.append(data + count - std::min<std::size_t>(count, 4), std::min<std::size_t>(count, 4));
  if (last_read_.size() > 4) last_read_.erase(0, last_read_.size() - 4);
  return static_cast<ssize_t>(count);
}

ssize_t Connection::write(const char* data, size_t size) {
  const auto deadline = SteadyClock::now() + limits_.write_timeout;
  for (;;) {
    if (tls_) {
      ERR_clear_error();
      const int count = SSL_write(tls_.get(), data, static_cast<int>(std::min<std::size_t>(size, 1u << 20)));
      if (count > 0) return count;
      if (!wait_for_tls(count, left_until(deadline))) return -1;
      continue;
    }
    const ssize_t count = ::send(socket_, data, size, MSG_NOSIGNAL);
    if (count >= 0) return count;
    if (errno == EINTR) continue;
    if (errno != EAGAIN || !wait_for(POLLOUT, left_until(deadline))) return -1;
  }
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getpeername(socket_, reinterpret_cast<sockaddr*>(&storage), &length) == 0) address_of(storage, ip, port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  if (::getsockname(socket_, reinterpret_cast<sockaddr*>(&storage), &length) == 0) address_of(storage, ip, port);
}

bool Connection::wait_for(short events, Milliseconds timeout) const {
  const auto deadline = SteadyClock::now() + timeout;
  pollfd state{socket_, events, 0};
  for (;;) {
    const int ready = ::poll(&state, 1, static_cast<int>(left_until(deadline).count()));
    if (ready >= 0) return ready > 0;
    if (errno != EINTR) return false;
  }
}

ssize_t Connection::receive(char* data, std::size_t size, Milliseconds timeout) {
  const auto deadline = SteadyClock::now() + timeout;
  for (;;) {
    if (tls_) {
      ERR_clear_error();
      const int count = SSL_read(tls_.get(), data, static_cast<int>(size));
      if (count > 0) return count;
      if (SSL_get_error(tls_.get(), count) == SSL_ERROR_ZERO_RETURN) return 0;
      if (!wait_for_tls(count, left_until(deadline))) break;
      continue;
    }
    const ssize_t count = ::recv(socket_, data, size, 0);
    if (count >= 0) return count;
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return -1;
    if (!wait_for(POLLIN, left_until(deadline))) break;
  }
  timed_out_ = SteadyClock::now() >= deadline;
  return -1;
}

bool Connection::wait_for_tls(int result, Milliseconds timeout) const {
  switch (SSL_get_error(tls_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return wait_for(POLLIN, timeout);
    case SSL_ERROR_WANT_WRITE:
      return wait_for(POLLOUT, timeout);
    default:
      return false;
  }
}

Connection::Milliseconds Connection::time_left_for_body() const {
  const Milliseconds earned(1000 * body_bytes_ / limits_.min_body_rate);
  return std::clamp(limits_.read_timeout + earned - waited_for_body_, Milliseconds(0), limits_.read_timeout);
}

bool Connection::extend_buffer(Milliseconds timeout) {
  if (consumed_ == buffer_.size()) {
    buffer_.clear();
    consumed_ = 0;
  }
  std::array<char, kPieceBytes> piece;
  const auto start = SteadyClock::now();
  const ssize_t count = receive(piece.data(), piece.size(), timeout);
  waited_for_body_ += std::chrono::duration_cast<Milliseconds>(SteadyClock::now() - start);
  if (count <= 0) return false;
  buffer_.append(piece.data(), static_cast<std::size_t>(count));
  return true;
}

}  // namespace refrag::server

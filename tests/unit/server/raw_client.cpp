#include "raw_client.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>

#include "base/message.h"

namespace refrag::testing {

RawClient::RawClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  const timeval patience{30, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    throw std::runtime_error("cannot connect");
  }
}

void RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

Reply RawClient::read_reply(bool is_head) {
  Reply reply;
  std::string line = take_line();
  if (line.size() < 12) return reply;
  reply.status = std::stoi(line.substr(9, 3));
  for (line = take_line(); !line.empty(); line = take_line()) {
    const std::size_t colon = line.find(": ");
    std::string name = line.substr(0, colon);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    reply.headers[name] = line.substr(colon + 2);
  }
  if (is_head || reply.status == 204) return reply;
  if (reply.headers.contains("transfer-encoding")) {
    for (;;) {
      const std::size_t size = std::stoul(take_line(), nullptr, 16);
      reply.body += take(size);
      take_line();
      if (size == 0) return reply;
    }
  }
  if (reply.headers.contains("content-length")) {
    reply.body = take(std::stoul(reply.headers["content-length"]));
  } else {
    while (receive()) {
    }
    reply.body = std::move(buffer_);
  }
  return reply;
}

std::string RawClient::read_until(std::string_view mark) {
  std::size_t found = buffer_.find(mark);
  while (found == std::string::npos && receive()) found = buffer_.find(mark);
  return take(found == std::string::npos ? buffer_.size() : found + mark.size());
}

bool RawClient::at_end() { return buffer_.empty() && !receive(); }

void RawClient::finish_sending() { ::shutdown(socket_, SHUT_WR); }

void RawClient::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

Reply RawClient::request(const std::string& method, const std::string& path, std::string_view body,
                         const Headers& headers) {
  send(request_bytes(method, path, body, headers));
  return read_reply(method == "HEAD");
}

Reply RawClient::post(const std::string& path, const Json& body, const Headers& headers) {
  return request("POST", path, body.dump(), headers);
}

bool RawClient::receive() {
  std::array<char, 4096> piece;
  const ssize_t count = ::recv(socket_, piece.data(), piece.size(), 0);
  if (count <= 0) return false;
  buffer_.append(piece.data(), static_cast<std::size_t>(count));
  return true;
}

std::string RawClient::take(std::size_t count) {
  while (buffer_.size() < count && receive()) {
  }
  std::string taken = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return taken;
}

std::string RawClient::take_line() {
  std::string line = read_until("\r\n");
  if (line.size() >= 2) line.resize(line.size() - 2);
  return line;
}

std::string request_bytes(const std::string& method, const std::string& path, std::string_view body,
                          const Headers& headers) {
  std::string bytes = message(method, ' ', path, " HTTP/1.1\r\nHost: test\r\n");
  for (const auto& [name, value] : headers) bytes += message(name, ": ", value, "\r\n");
  if (!body.empty()) {
    if (!headers.contains("Content-Type")) bytes += "Content-Type: application/json\r\n";
    if (!headers.contains("Content-Length")) bytes += message("Content-Length: ", body.size(), "\r\n");
  }
  return message(bytes, "\r\n", body);
}

}  // namespace refrag::testing

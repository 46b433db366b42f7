#pragma once
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "base/json_reader.h"

namespace refrag::testing {

struct Reply {
  int status = 0;                              // 0: the connection ended without one
  std::map<std::string, std::string> headers;  // names in small letters
  std::string body;                            // chunks joined

  Json json() const { return Json::parse(body); }
  /// What stands at a JSON pointer, "/error/param"; null where nothing does.
  Json at(const std::string& pointer) const { return json().value(Json::json_pointer(pointer), Json()); }
};

using Headers = std::map<std::string, std::string>;

/// A client that sends exactly the bytes it is told to. Gives up after 30 s of silence, so that a failing test ends.
class RawClient {
 public:
  explicit RawClient(int port);
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { close(); }

  void send(std::string_view bytes);  // stops silently where the server has hung up
  Reply read_reply(bool is_head = false);
  std::string read_until(std::string_view mark);  // everything up to and with the mark, or to the end
  bool at_end();                                  // waits for more; true where the server hung up instead
  void finish_sending();                          // the server sees the end of what we say; it may still answer
  void close();

  /// One request on this connection.
  Reply request(const std::string& method, const std::string& path, std::string_view body = {},
                const Headers& headers = {});
  Reply post(const std::string& path, const Json& body, const Headers& headers = {});

 private:
  bool receive();
  std::string take(std::size_t count);
  std::string take_line();

  int socket_;
  std::string buffer_;
};

/// The head and body of a request as bytes; Content-Length and Content-Type are added where `headers` has none.
std::string request_bytes(const std::string& method, const std::string& path, std::string_view body,
                          const Headers& headers = {});

}  // namespace refrag::testing

#include "server/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <latch>
#include <mutex>
#include <thread>

#include "base/message.h"
#include "raw_client.h"
#include "refrag/error.h"

namespace refrag::server {
namespace {

using refrag::testing::Headers;
using refrag::testing::RawClient;
using refrag::testing::Reply;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::size_t kMaxBody = 1000;

/// A server with routes that show what reached them.
class HttpServerTest : public ::testing::Test {
 protected:
  void TearDown() override { stop(); }

  void start(HttpServerOptions options = {}) {
    const auto echo = [](const HttpRequest& request) {
      return HttpResponse{.content_type = "text/plain", .body = request.body(kMaxBody)};
    };
    const auto path = [](const HttpRequest& request) {
      return HttpResponse{.content_type = "text/plain", .body = request.path};
    };
    const auto fail = [](const HttpRequest&) -> HttpResponse { throw std::runtime_error("secret of the house"); };
    const auto stream = [this](const HttpRequest& request) {
      return HttpResponse{.content_type = "text/event-stream",
                          .stream = [this, gone = request.client_gone](const SendBytes& send) {
                            send("first ");
                            send("second");
                            stream_was_sent_ = true;
                            if (hold_stream_) {
                              while (!gone()) std::this_thread::yield();
                              stream_saw_end_.count_down();
                            }
                          }};
    };
    const auto wait = [this](const HttpRequest&) {
      entered_.count_down();
      leave_.wait();
      return HttpResponse{.body = "\"done\""};
    };
    HttpServerHooks hooks;
    hooks.guard = [](const HttpRequest& request) {
      if (request.header("Authorization") == "bad") throw HttpError(401, "unauthorized", "no");
    };
    hooks.on_finished = [this](const Finished& finished) {
      const std::lock_guard lock(mutex_);
      finished_.push_back(finished);
    };
    server_ = std::make_unique<HttpServer>(
        std::vector<Route>{{"POST", "/echo", {"text/plain", "application/json"}, true, echo},
                           {"GET", "/path/*", {}, true, path},
                           {"DELETE", "/path/*", {}, true, path},
                           {"GET", "/fail", {}, true, fail},
                           {"GET", "/stream", {}, true, stream},
                           {"GET", "/wait", {}, true, wait},
                           {"GET", "/open", {}, false, path}},
        hooks, options);
    port_ = server_->bind("127.0.0.1", 0);
    thread_ = std::thread([this] { server_->run(); });
  }

  void stop() {
    if (!thread_.joinable()) return;
    leave_.count_down(leave_.try_wait() ? 0 : 1);
    server_->stop();
    thread_.join();
  }

  Reply request(const std::string& method, const std::string& path, std::string_view body = {},
                const Headers& headers = {}) {
    return RawClient(port_).request(method, path, body, headers);
  }
  Reply send(std::string_view bytes) {
    RawClient client(port_);
    client.send(bytes);
    return client.read_reply();
  }

  int port_ = 0;
  bool hold_stream_ = false;
  std::atomic<bool> stream_was_sent_{false};
  std::latch stream_saw_end_{1};
  std::latch entered_{1};
  std::latch leave_{1};
  std::mutex mutex_;
  std::vector<Finished> finished_;  // guarded by mutex_
  std::unique_ptr<HttpServer> server_;
  std::thread thread_;
};

HttpServerOptions impatient() {
  HttpServerOptions options;
  options.connection.read_timeout = std::chrono::milliseconds(50);
  options.connection.keep_alive_timeout = std::chrono::milliseconds(50);
  return options;
}

TEST_F(HttpServerTest, ABodyReachesItsHandler) {
  start();
  const Reply reply = request("POST", "/echo", "hello");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body, "hello");
}

TEST_F(HttpServerTest, AConnectionServesOneRequestAfterAnotherAlsoWhenTheyComeTogether) {
  start();
  RawClient client(port_);
  for (int n = 0; n < 20; ++n) EXPECT_EQ(client.request("POST", "/echo", std::to_string(n)).body, std::to_string(n));
  client.send(refrag::testing::request_bytes("POST", "/echo", "one") +
              refrag::testing::request_bytes("GET", "/path/two", ""));
  EXPECT_EQ(client.read_reply().body, "one");
  EXPECT_EQ(client.read_reply().body, "/path/two");
}

TEST_F(HttpServerTest, PathsAreDecodedAfterTheyAreSplit) {
  start();
  EXPECT_EQ(request("GET", "/path/a%2Fb%20c%23d?x=1").body, "/path/a/b c#d");
  EXPECT_EQ(request("DELETE", "/path/%C3%A9").body, "/path/\xC3\xA9");
  EXPECT_EQ(request("GET", "/path/a/b/c").body, "/path/a/b/c");
  for (const char* path : {"/path/%", "/path/%1", "/path/%zz", "/path/%00", "/path/a?q=%f"}) {
    EXPECT_EQ(request("GET", path).status, 400) << path;
  }
}

TEST_F(HttpServerTest, AnUnknownPathIs404AndAWrongMethod405WithWhatIsAllowed) {
  start();
  EXPECT_EQ(request("GET", "/nowhere").at("/error/code"), "not_found");
  EXPECT_EQ(request("GET", "/path/").status, 404);
  const Reply reply = request("PUT", "/path/x", "{}");
  EXPECT_EQ(reply.status, 405);
  EXPECT_EQ(reply.headers.at("allow"), "GET, DELETE, OPTIONS");
  EXPECT_EQ(reply.at("/error/code"), "method_not_allowed");
  for (const char* method : {"PATCH", "TRACE", "CONNECT", "GET"})
    EXPECT_EQ(request(method, "/echo").status, 405) << method;
}

TEST_F(HttpServerTest, HeadGivesTheHeadersOfGet) {
  start();
  const Reply reply = request("HEAD", "/path/abc");
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.headers.at("content-length"), "9");
}

TEST_F(HttpServerTest, AWrongMediaTypeIs415) {
  start();
  const Reply reply = request("POST", "/echo", "<a/>", {{"Content-Type", "application/xml"}});
  EXPECT_EQ(reply.status, 415);
  EXPECT_THAT(reply.at("/error/message"), HasSubstr("application/xml"));
  EXPECT_EQ(request("POST", "/echo", "a", {{"Content-Type", "Application/JSON; charset=utf-8"}}).status, 200);
  EXPECT_EQ(request("POST", "/echo", "a", {{"Content-Encoding", "zstd"}}).status, 415);
}

TEST_F(HttpServerTest, AFormPostPassesFromCurlButNotFromAPageOfAnotherSite) {
  start();
  const std::string type = "application/x-www-form-urlencoded";
  EXPECT_EQ(request("POST", "/echo", "{}", {{"Content-Type", type}}).status, 200);
  EXPECT_EQ(request("POST", "/echo", "{}", {{"Content-Type", type}, {"Origin", "http://evil.example"}}).status, 403);
  EXPECT_EQ(request("POST", "/echo", "{}", {{"Content-Type", type}, {"Origin", "http://test"}}).status, 415);
}

TEST_F(HttpServerTest, APageOfAnotherOriginMayOnlyRead) {
  start();  // RawClient sends "Host: test"
  for (const char* origin : {"http://evil.example", "null", "http://test:81", "http://test.evil.example", "test"}) {
    EXPECT_EQ(request("POST", "/echo", "a", {{"Origin", origin}}).at("/error/code"), "forbidden_origin") << origin;
    EXPECT_EQ(request("DELETE", "/path/a", "", {{"Origin", origin}}).status, 403) << origin;
    EXPECT_EQ(request("GET", "/path/a", "", {{"Origin", origin}}).status, 200) << origin;
    EXPECT_EQ(request("HEAD", "/path/a", "", {{"Origin", origin}}).status, 200) << origin;
    EXPECT_EQ(request("OPTIONS", "/path/a", "", {{"Origin", origin}}).status, 204) << origin;
  }
  EXPECT_EQ(request("POST", "/echo", "a", {{"Origin", "http://test"}}).status, 200);
  EXPECT_EQ(request("POST", "/echo", "a", {{"Origin", "https://TEST"}}).status, 200);  // TLS ends at a proxy
}

TEST_F(HttpServerTest, APageOfTheConfiguredOriginMayWrite) {
  HttpServerOptions options;
  options.cors_origin = "https://app.example";
  start(options);
  EXPECT_EQ(request("POST", "/echo", "a", {{"Origin", "https://app.example"}}).status, 200);
  EXPECT_EQ(request("POST", "/echo", "a", {{"Origin", "https://other.example"}}).status, 403);
  stop();
  options.cors_origin = "*";
  start(options);
  EXPECT_EQ(request("POST", "/echo", "a", {{"Origin", "https://other.example"}}).status, 200);
}

TEST_F(HttpServerTest, ABodyOverTheLimitIs413HoweverItComes) {
  start();
  const std::string large(kMaxBody + 1, 'x');
  EXPECT_EQ(request("POST", "/echo", large).status, 413);
  const std::string head = "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\n";
  const Reply chunked = send(message(head, "Transfer-Encoding: chunked\r\n\r\n3e9\r\n", large, "\r\n0\r\n\r\n"));
  EXPECT_EQ(chunked.status, 413);
  EXPECT_EQ(chunked.at("/error/code"), "payload_too_large");
  EXPECT_EQ(send(message(head, "Content-Length: 99999999999999\r\n\r\nabc")).status, 413);
  EXPECT_EQ(request("POST", "/echo", std::string(kMaxBody, 'x')).status, 200);
}

TEST_F(HttpServerTest, ACompressedBodyIsMeasuredUnpacked) {
  start();
  // 100,000 zero bytes, gzipped.
  static constexpr char kBomb[] =
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xed\xc1\x31\x01\x00\x00\x00\xc2\xa0\xf5\x4f\x6d\x0d\x0f\xa0"
      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
      "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80\x57\x03\x7d"
      "\x95\x11\xd4\xa0\x86\x01\x00";
  EXPECT_EQ(request("POST", "/echo", {kBomb, sizeof kBomb - 1}, {{"Content-Encoding", "gzip"}}).status, 413);
}

TEST_F(HttpServerTest, ACompressedBodyThatBreaksOffIs400) {
  start();
  static constexpr char kHello[] =  // "hello hello hello", gzipped
      "\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\x48\xcd\xc9\xc9\x57\xc8\x40\x90\x00\x80\x88\xf9\xe5\x11\x00\x00"
      "\x00";
  const std::string whole(kHello, sizeof kHello - 1);
  const Headers gzip = {{"Content-Encoding", "gzip"}};
  EXPECT_EQ(request("POST", "/echo", whole, gzip).body, "hello hello hello");
  for (const std::size_t count : {4u, 12u, 20u, 27u}) {
    EXPECT_EQ(request("POST", "/echo", whole.substr(0, count), gzip).status, 400) << count;
  }
  const std::string head =
      "POST /echo HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(send(head + "14\r\n" + whole.substr(0, 20) + "\r\n0\r\n\r\n").status, 400);
  EXPECT_EQ(send(head + "14\r\n" + whole.substr(0, 20) + "\r\n8\r\n" + whole.substr(20) + "\r\n0\r\n\r\n").status, 200);
}

TEST_F(HttpServerTest, ChunkedBodiesAreJoined) {
  start();
  const std::string head =
      "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(send(head + "3\r\nabc\r\n2;note=1\r\nde\r\n0\r\n\r\n").body, "abcde");
  for (const char* body : {"zz\r\nabc\r\n", "-1\r\nabc\r\n", "3\r\nabcd\r\n0\r\n\r\n"}) {
    EXPECT_EQ(send(head + body).status, 400) << body;
  }
}

TEST_F(HttpServerTest, AHeadThatTwoReadersCouldTakeApartDifferentlyIs400) {
  start();
  const std::string head = "POST /echo HTTP/1.1\r\nContent-Type: text/plain\r\n";
  for (const char* lines :
       {"Content-Length: 3\r\nContent-Length: 4\r\n", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: -1\r\n", "Content-Length: 3x\r\n", "Content-Length: 99999999999999999999\r\n"}) {
    EXPECT_EQ(send(message(head, lines, "\r\nabc")).status, 400) << lines;
  }
  EXPECT_EQ(send(message(head, "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")).status, 501);
}

TEST_F(HttpServerTest, BytesThatAreNoHttpGetAJson400AndTheServerLivesOn) {
  start();
  const std::string nul("GET /\0 HTTP/1.1\r\n\r\n", 19);
  for (const std::string& bytes :
       {std::string("hello\r\n\r\n"), std::string("GET\r\n\r\n"), nul, std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string("FOO / HTTP/1.1\r\n\r\n"), std::string("\x16\x03\x01\x02\r\n\r\n"),
        std::string("GET /a b c HTTP/1.1\r\n\r\n")}) {
    const Reply reply = send(bytes);
    EXPECT_EQ(reply.status, 400) << bytes;
    EXPECT_EQ(reply.at("/error/code"), "bad_request");
  }
  EXPECT_EQ(request("GET", "/path/a").status, 200);
}

TEST_F(HttpServerTest, RangesAreNotAnsweredHoweverLong) {
  start();
  std::string ranges = "bytes=0-1";
  while (ranges.size() < 8000) ranges += ",2-3";
  EXPECT_EQ(request("GET", "/path/abc", "", {{"Range", ranges}}).body, "/path/abc");
  EXPECT_EQ(request("GET", "/path/abc", "", {{"rAnGe", "bytes=0-1"}}).status, 200);
  EXPECT_EQ(request("GET", "/path/abc", "", {{"Range", "nonsense"}}).status, 200);
}

TEST_F(HttpServerTest, AHeadWithABareLineFeedIs400SoThatItHidesNoRange) {
  start();
  for (const char* head :
       {"GET /path/abc HTTP/1.1\r\nX: y\nRange: bytes=0-,0-\r\n\r\n", "GET /path/abc HTTP/1.1\nHost: t\n\n",
        "\nGET /path/abc HTTP/1.1\r\n\r\n", "GET /path/abc HTTP/1.1\r\nX: y\r\n\n"}) {
    const Reply reply = send(head);
    EXPECT_EQ(reply.status, 400) << head;
    EXPECT_EQ(reply.at("/error/code"), "bad_request");
  }
  RawClient slow(port_);
  for (const char c : std::string_view("GET /path/a HTTP/1.1\r\nX: y\r\n\r\n")) slow.send({&c, 1});
  EXPECT_EQ(slow.read_reply().status, 200);
  EXPECT_EQ(request("POST", "/echo", "a\nb").body, "a\nb");
}

TEST_F(HttpServerTest, AHeadThatIsTooLargeIsRefusedWithoutReadingItAll) {
  start();
  EXPECT_EQ(send("GET /path/a HTTP/1.1\r\nX: " + std::string(100'000, 'x')).status, 431);
  EXPECT_EQ(request("GET", "/path/" + std::string(9'000, 'x')).status, 414);
  EXPECT_EQ(request("GET", "/path/" + std::string(8'000, 'x')).status, 200);
}

TEST_F(HttpServerTest, ASlowClientGets408) {
  start(impatient());
  EXPECT_EQ(send("GET /path/a HTT").status, 408);
  EXPECT_EQ(send("POST /echo HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nab").status, 408);
  RawClient silent(port_);
  EXPECT_TRUE(silent.at_end());
}

TEST_F(HttpServerTest, ABodyThatEndsEarlyIs400) {
  start();
  RawClient client(port_);
  client.send("POST /echo HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nab");
  client.finish_sending();
  EXPECT_EQ(client.read_reply().status, 400);
}

TEST_F(HttpServerTest, AfterARefusedBodyTheConnectionIsClosed) {
  start();
  RawClient client(port_);
  const Reply reply = client.request("POST", "/nowhere", "GET /path/smuggled HTTP/1.1\r\n\r\n");
  EXPECT_EQ(reply.status, 404);
  EXPECT_EQ(reply.headers.at("connection"), "close");
  EXPECT_TRUE(client.at_end());
}

TEST_F(HttpServerTest, AFaultIsToldWithoutItsInsides) {
  start();
  const Reply reply = request("GET", "/fail", "", {{"X-Request-Id", "my-id.1"}});
  EXPECT_EQ(reply.status, 500);
  EXPECT_EQ(reply.headers.at("x-request-id"), "my-id.1");
  EXPECT_THAT(reply.body, ::testing::Not(HasSubstr("secret")));
  EXPECT_THAT(reply.body, HasSubstr("my-id.1"));
}

TEST_F(HttpServerTest, ARequestIdThatCouldForgeAHeaderIsReplaced) {
  start();
  EXPECT_THAT(request("GET", "/path/a", "", {{"X-Request-Id", "a%0d%0aSet-Cookie: b"}}).headers.at("x-request-id"),
              StartsWith("r-"));
  EXPECT_THAT(request("GET", "/path/a").headers.at("x-request-id"), StartsWith("r-"));
}

TEST_F(HttpServerTest, TheGuardStandsBeforeRoutesAndUnknownPaths) {
  start();
  const Headers bad = {{"Authorization", "bad"}};
  for (const char* path : {"/path/a", "/nowhere", "/fail"})
    EXPECT_EQ(request("GET", path, "", bad).status, 401) << path;
  EXPECT_EQ(request("GET", "/echo", "", bad).status, 401);  // before it says which methods there are
  EXPECT_EQ(request("GET", "/open", "", bad).status, 200);
}

TEST_F(HttpServerTest, AStreamArrivesInPieces) {
  start();
  const Reply reply = request("GET", "/stream");
  EXPECT_EQ(reply.headers.at("content-type"), "text/event-stream");
  EXPECT_EQ(reply.body, "first second");
}

TEST_F(HttpServerTest, AnOldClientGetsAStreamWithoutChunks) {
  start();
  const Reply reply = send("GET /stream HTTP/1.0\r\n\r\n");
  EXPECT_FALSE(reply.headers.contains("transfer-encoding"));
  EXPECT_EQ(reply.body, "first second");
}

TEST_F(HttpServerTest, AStreamSeesThatItsClientLeft) {
  hold_stream_ = true;
  start();
  RawClient client(port_);
  client.send("GET /stream HTTP/1.1\r\n\r\n");
  client.read_until("second");
  client.close();
  stream_saw_end_.wait();
}

TEST_F(HttpServerTest, AConnectionOverTheLimitGets503AndOneThatEndsMakesRoom) {
  HttpServerOptions options;
  options.max_connections = 2;
  start(options);
  auto first = std::make_unique<RawClient>(port_);
  RawClient second(port_);
  EXPECT_EQ(first->request("GET", "/path/a").status, 200);
  EXPECT_EQ(second.request("GET", "/path/a").status, 200);
  const Reply refused = request("GET", "/path/a");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.headers.at("retry-after"), "1");

  first.reset();

  Reply reply = request("GET", "/path/a");
  while (reply.status == 503) reply = request("GET", "/path/a");  // until the server has seen the first one leave
  EXPECT_EQ(reply.status, 200);
}

TEST_F(HttpServerTest, StoppingEndsIdleConnectionsAndLetsAnAnswerFinish) {
  start();
  RawClient idle(port_);
  EXPECT_EQ(idle.request("GET", "/path/a").status, 200);
  RawClient busy(port_);
  busy.send("GET /wait HTTP/1.1\r\n\r\n");
  entered_.wait();

  server_->stop();

  EXPECT_TRUE(idle.at_end());
  leave_.count_down();
  EXPECT_EQ(busy.read_reply().body, "\"done\"");
  EXPECT_TRUE(busy.at_end());
  thread_.join();
}

TEST_F(HttpServerTest, StoppingEndsABodyThatStillComes) {
  start();
  RawClient idle(port_);
  RawClient sending(port_);
  sending.send("POST /echo HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\na");
  sending.read_until("100 Continue\r\n\r\n");
  server_->stop();
  EXPECT_TRUE(idle.at_end());
  sending.send("b");
  EXPECT_EQ(sending.read_reply().status, 503);
  thread_.join();
}

std::string bind_error(const std::string& host, int port) {
  HttpServer server({}, {}, {});
  try {
    server.bind(host, port);
  } catch (const Error& error) {
    return error.what();
  }
  return "(it was bound)";
}

TEST_F(HttpServerTest, AnAddressThatCannotBeHadIsToldWithTheReason) {
  start();
  EXPECT_THAT(bind_error("127.0.0.1", port_), HasSubstr("Address already in use"));
  EXPECT_THAT(bind_error("192.0.2.1", 0), HasSubstr("Cannot assign requested address"));
  EXPECT_THAT(bind_error("no such host", 0), HasSubstr("cannot listen on no such host:0: Name or service not known"));
}

TEST(HttpServerRunTest, AListeningSocketThatFailsEndsRunWithAnError) {
  HttpServer server({}, {}, {});
  const int port = server.bind("127.0.0.1", 0);
  for (int descriptor = 3; descriptor < 1024; ++descriptor) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) == 0 && address.sin_family == AF_INET &&
        ntohs(address.sin_port) == port) {
      ::shutdown(descriptor, SHUT_RDWR);  // accept(2) fails from now on
    }
  }
  EXPECT_THROW(server.run(), Error);
}

TEST_F(HttpServerTest, CorsHeadersComeOnlyWhereTheyAreConfigured) {
  HttpServerOptions options;
  options.cors_origin = "https://app.example";
  start(options);
  const Reply asked = request("OPTIONS", "/path/a", "", {{"Authorization", "bad"}});
  EXPECT_EQ(asked.status, 204);
  EXPECT_EQ(asked.headers.at("access-control-allow-origin"), "https://app.example");
  EXPECT_EQ(asked.headers.at("access-control-allow-methods"), "GET, DELETE, OPTIONS");
  EXPECT_EQ(request("GET", "/nowhere").headers.at("access-control-allow-origin"), "https://app.example");
  stop();
}

TEST_F(HttpServerTest, WithoutCorsNoOriginIsAllowed) {
  start();
  EXPECT_FALSE(request("OPTIONS", "/path/a").headers.contains("access-control-allow-origin"));
}

TEST_F(HttpServerTest, EveryRequestIsReportedByItsRoute) {
  start();
  request("GET", "/path/secret", "", {{"X-Request-Id", "one"}});
  request("GET", "/nowhere");
  stop();
  const std::lock_guard lock(mutex_);
  ASSERT_EQ(finished_.size(), 2u);
  EXPECT_EQ(finished_[0].route, "/path/*");
  EXPECT_EQ(finished_[0].status, 200);
  EXPECT_EQ(finished_[0].id, "one");
  EXPECT_EQ(finished_[1].route, "");
  EXPECT_EQ(finished_[1].status, 404);
}

TEST(HttpServerOptionsTest, ACertificateThatCannotBeReadIsNamed) {
  HttpServerOptions options;
  options.tls_certificate = "/nonexistent.pem";
  EXPECT_THROW(HttpServer({}, {}, options), Error);  // without a key
  options.tls_key = "/nonexistent.key";
  try {
    HttpServer server({}, {}, options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.param(), "tls_cert");
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent.pem"));
  }
}

}  // namespace
}  // namespace refrag::server

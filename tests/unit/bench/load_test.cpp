#include "bench/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <thread>

#include "base/message.h"
#include "support/errors.h"

namespace refrag::bench {
namespace {

using refrag::testing::error_of;

TEST(EventReader, FindsEventsWhateverThePieces) {
  const std::string stream =
      ": keep-alive\n\nevent: token\r\ndata: {\"a\"\r\n\r\nevent: done\ndata: 1\ndata: 2\n\nevent: t";
  for (const std::size_t piece : {1U, 3U, 1000U}) {
    std::vector<std::string> events;
    EventReader reader([&](const std::string& name, const std::string& data) { events.push_back(name + '=' + data); });
    for (std::size_t at = 0; at < stream.size(); at += piece) reader.add(std::string_view(stream).substr(at, piece));
    EXPECT_THAT(events, ::testing::ElementsAre("token={\"a\"", "done=12"));
  }
}

/// A server that answers every question as a test wants it.
class AnsweringServer {
 public:
  explicit AnsweringServer(httplib::Server::Handler handler) {
    server_.Post("/v1/query", std::move(handler));
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~AnsweringServer() {
    server_.stop();
    thread_.join();
  }
  LoadPlan plan(std::size_t requests) const {
    LoadPlan plan;
    plan.url = message("http://127.0.0.1:", port_);
    plan.questions = {"a", "b"};
    plan.requests = requests;
    return plan;
  }

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
};

const char* const kAnswer =
    "event: retrieval\ndata: {}\n\nevent: token\ndata: {}\n\nevent: token\ndata: {}\n\n"
    "event: done\ndata: {}\n\n";

TEST(Load, CountsTokensAndTimesOfStreamedAnswers) {
  std::mutex mutex;
  std::multiset<std::string> questions;
  const AnsweringServer server([&](const httplib::Request& request, httplib::Response& response) {
    const Json body = parse_json(request.body, "body");
    const std::lock_guard lock(mutex);
    questions.insert(
        message(body["question"], body["stream"], body["mode"], request.get_header_value("Authorization")));
    response.set_content(kAnswer, "text/event-stream");
  });
  LoadPlan plan = server.plan(6);
  plan.clients = 3;
  plan.api_key = "key";
  plan.fields = {{"mode", "full"}};
  std::atomic<std::size_t> done = 0;
  const LoadResult result = run_load(plan, [&] { ++done; });
  EXPECT_EQ(done, 6U);
  EXPECT_TRUE(errors_of(result).empty());
  for (const LoadedRequest& request : result.requests) {
    EXPECT_EQ(request.tokens, 2U);
    EXPECT_GT(request.ttft_ms, 0);
    EXPECT_GE(request.total_ms, request.ttft_ms);
  }
  EXPECT_EQ(questions.count("\"a\"true\"full\"Bearer key"), 3U);
  EXPECT_EQ(questions.count("\"b\"true\"full\"Bearer key"), 3U);
  const Json json = to_json(result);
  EXPECT_EQ(json["answered"], 6);
  EXPECT_GE(json["ttft_ms"]["p99"], json["ttft_ms"]["p50"]);
}

TEST(Load, TellsErrorsByKind) {
  std::atomic<int> asked = 0;
  const AnsweringServer server([&](const httplib::Request&, httplib::Response& response) {
    switch (asked++) {
      case 0:
        response.status = 429;
        response.set_content(R"({"error": {"code": "queue_full"}})", "application/json");
        return;
      case 1:
        response.set_content("event: token\ndata: {}\n\nevent: error\ndata: {\"error\": {\"code\": \"timeout\"}}\n\n",
                             "text/event-stream");
        return;
      case 2:
        response.set_content("event: token\ndata: {}\n\n", "text/event-stream");
        return;
      default:
        response.set_content(kAnswer, "text/event-stream");
    }
  });
  const LoadResult result = run_load(server.plan(4), {});
  EXPECT_THAT(errors_of(result),
              ::testing::ElementsAre(::testing::Pair("429 queue_full", 1), ::testing::Pair("in the stream: timeout", 1),
                                     ::testing::Pair("stream without end", 1)));
  EXPECT_EQ(to_json(result)["answered"], 1);
  EXPECT_THAT(to_markdown({result}), ::testing::HasSubstr("1 × 429 queue_full"));
}

TEST(Load, AServerThatIsNotThereIsAnError) {
  LoadPlan plan;
  plan.url = "http://127.0.0.1:1";
  plan.questions = {"a"};
  plan.requests = 2;
  const LoadResult result = run_load(plan, {});
  EXPECT_THAT(errors_of(result), ::testing::ElementsAre(::testing::Pair("cannot connect", 2)));
  EXPECT_TRUE(to_json(result)["ttft_ms"].is_null());
  EXPECT_THAT(to_markdown({result}),
              ::testing::HasSubstr("| 1 client | 2 | 0 | 0.00 | 0.0 | - | - | - | 2 × cannot connect |"));
}

TEST(Load, AnOpenLoopCountsFromWhenARequestWasDue) {
  const AnsweringServer server([&](const httplib::Request&, httplib::Response& response) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    response.set_content(kAnswer, "text/event-stream");
  });
  LoadPlan plan = server.plan(5);
  plan.rate = 1e6;  // all are due at once, and one client answers them one after another
  const LoadResult result = run_load(plan, {});
  EXPECT_GE(result.requests[4].ttft_ms, 5 * 20);
}

TEST(Load, RefusesWhatCannotBeSent) {
  const auto refused = [](const auto& change) {
    LoadPlan plan;
    plan.url = "http://127.0.0.1:1";
    plan.questions = {"a"};
    change(plan);
    return error_of([&] { run_load(plan, {}); }).param();
  };
  EXPECT_EQ(refused([](LoadPlan& plan) { plan.url = "127.0.0.1"; }), "--url");
  EXPECT_EQ(refused([](LoadPlan& plan) { plan.questions = {}; }), "--question");
  EXPECT_EQ(refused([](LoadPlan& plan) { plan.clients = 65; }), "--clients");
  EXPECT_EQ(refused([](LoadPlan& plan) { plan.requests = 0; }), "--requests");
  EXPECT_EQ(refused([](LoadPlan& plan) { plan.rate = 0; }), "--rate");
}

}  // namespace
}  // namespace refrag::bench

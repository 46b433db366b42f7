#pragma once
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/files.h"
#include "raw_client.h"
#include "server/server.h"
#include "support/fake_runner.h"

namespace refrag::testing {

/// A whole server with a fake model on a free port of this machine, in this process.
class RunningServer {
 public:
  struct Options {
    server::ServerConfig config = {};
    FakeModel model = {};
    bool has_knowledge_base = true;
    bool is_loaded = true;  // false: `load` comes later
  };

  RunningServer() : RunningServer(Options()) {}
  explicit RunningServer(Options options) : options_(std::move(options)) {
    options_.config.port = 0;
    runner = std::make_shared<FakeRunner>(options_.model);
    if (options_.has_knowledge_base) {
      knowledge_base = KnowledgeBase::create(directory_.path() / "kb", runner->info().schema);
    }
    server_ = std::make_unique<server::Server>(options_.config);
    port = server_->bind();
    thread_ = std::thread([this] { server_->run(); });
    if (options_.is_loaded) load();
  }
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;
  ~RunningServer() {
    runner->step_gate().open();
    shut_down();
  }

  void load() {
    backend = std::make_shared<server::Backend>(runner, knowledge_base, server::engine_config(options_.config));
    server_->set_backend(backend);
  }
  /// Returns once the server has ended.
  void shut_down() {
    if (!thread_.joinable()) return;
    server_->shut_down();
    thread_.join();
  }

  Reply post(const std::string& path, const Json& body, const Headers& headers = {}) const {
    return RawClient(port).post(path, body, headers);
  }
  Reply request(const std::string& method, const std::string& path, std::string_view body = {},
                const Headers& headers = {}) const {
    return RawClient(port).request(method, path, body, headers);
  }
  /// Waits until /metrics has the line; what a test then sees has happened before.
  void wait_for_metric(const std::string& line) const {
    while (request("GET", "/metrics").body.find(line) == std::string::npos) std::this_thread::yield();
  }

  int port = 0;
  std::shared_ptr<FakeRunner> runner;
  std::shared_ptr<KnowledgeBase> knowledge_base;
  std::shared_ptr<server::Backend> backend;

 private:
  Options options_;
  TemporaryDirectory directory_;
  std::unique_ptr<server::Server> server_;
  std::thread thread_;
};

inline RunningServer::Options saying(const std::string& answer) {
  RunningServer::Options options;
  options.model.answer = answer;
  return options;
}

inline Json inline_question(const std::string& more = "{}") {
  Json json =
      Json::parse(R"({"question": "why?", "passages": [{"id": "p1", "text": "the sky is blue because of the air"}]})");
  json.update(Json::parse(more));
  return json;
}

inline Json some_documents() {
  return Json::parse(R"({"documents": [
    {"id": "sky", "title": "Sky", "text": "The sky is blue.", "metadata": {"kind": "nature", "n": 1}},
    {"id": "a/b c", "title": "Slashed", "text": "Grass is green, says the gardener.", "metadata": {"kind": "garden"}}]})");
}

/// The events of an SSE body, [DONE] left out.
inline std::vector<std::pair<std::string, Json>> events_of(const std::string& body) {
  std::vector<std::pair<std::string, Json>> events;
  std::istringstream lines(body);
  std::string name;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("event: ")) name = line.substr(7);
    if (line.starts_with("data: ") && line != "data: [DONE]") events.emplace_back(name, Json::parse(line.substr(6)));
  }
  return events;
}

}  // namespace refrag::testing

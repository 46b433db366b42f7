#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json_reader.h"

namespace refrag::bench {

/// What `refrag bench serve` sends to a running server.
struct LoadPlan {
  std::string url;  // http://host:port
  std::string api_key;
  std::vector<std::string> questions;  // asked one after another, from the first again
  Json fields = Json::object();        // of every request's body, beside question and stream
  std::size_t clients = 1;             // requests at a time; in an open loop: at most
  /// Open loop: arrivals a second, at random (Poisson), whether earlier ones are answered or not. Absent: closed loop,
  /// each client asks again when it has its answer.
  std::optional<double> rate;
  std::size_t requests = 64;
  double timeout_seconds = 300;  // without a byte from the server
  std::uint64_t seed = 1;        // of the arrivals
};

/// One request. Times run from its arrival: in an open loop that is when it was due, so that waiting for a free client
/// counts.
struct LoadedRequest {
  double ttft_ms = 0;
  double total_ms = 0;
  double per_token_ms = 0;  // 0 for answers of one token
  std::size_t tokens = 0;
  std::string error;  // its kind, "429 queue_full"; empty: answered
};

struct LoadResult {
  std::size_t clients = 0;
  std::optional<double> rate;
  double elapsed_ms = 0;
  std::vector<LoadedRequest> requests;
};

/// Splits server-sent events as they arrive, whatever the pieces.
class EventReader {
 public:
  using OnEvent = std::function<void(const std::string& name, const std::string& data)>;
  explicit EventReader(OnEvent on_event) : on_event_(std::move(on_event)) {}
  void add(std::string_view bytes);

 private:
  void take_line(std::string_view line);

  OnEvent on_event_;
  std::string rest_;  // of an unfinished line
  std::string name_;
  std::string data_;
};

/// Throws kInvalidArgument for a plan that makes no sense. `on_done` from any of the clients' threads.
LoadResult run_load(const LoadPlan& plan, const std::function<void()>& on_done);

std::map<std::string, std::size_t> errors_of(const LoadResult& result);  // by kind
Json to_json(const LoadResult& result);
std::string to_markdown(const std::vector<LoadResult>& results);

}  // namespace refrag::bench

#include "bench/load.h"

#include <httplib.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <random>
#include <sstream>
#include <thread>

#include "base/clock.h"
#include "base/message.h"
#include "bench/spread.h"
#include "refrag/error.h"

namespace refrag::bench {
namespace {

constexpr double kShares[] = {0.5, 0.95, 0.99};

void check_load(const LoadPlan& plan) {
  const auto refuse = [](const char* option, const std::string& found, const char* expected) {
    throw Error(ErrorCode::kInvalidArgument, message(option, " is ", found, "; expected ", expected), option);
  };
  if (!plan.url.starts_with("http://") && !plan.url.starts_with("https://"))
    refuse("--url", plan.url, "http://HOST:PORT");
  if (plan.questions.empty()) refuse("--question", "missing", "a question, or --questions FILE");
  if (plan.clients == 0 || plan.clients > 64) refuse("--clients", message(plan.clients), "1 to 64");
  if (plan.requests == 0) refuse("--requests", "0", "1 or more");
  if (plan.rate && !(*plan.rate > 0)) refuse("--rate", message(*plan.rate), "more than 0");
  if (!plan.fields.is_object()) refuse("--body", plan.fields.dump(), "a JSON object");
}

/// When each request is due, milliseconds from the start; empty in a closed loop.
std::vector<double> arrivals_of(const LoadPlan& plan) {
  std::vector<double> arrivals;
  if (!plan.rate) return arrivals;
  std::mt19937_64 random(plan.seed);
  std::exponential_distribution<double> gap(*plan.rate);
  double at = 0;
  for (std::size_t n = 0; n < plan.requests; ++n) {
    arrivals.push_back(at);
    at += 1000 * gap(random);
  }
  return arrivals;
}

/// The code of an error's body, or nothing where it is none of ours.
std::string code_of(const std::string& body) {
  const Json json = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("error") || !json["error"].is_object()) return {};
  const Json& code = json["error"].value("code", Json());
  return code.is_string() ? code.get<std::string>() : std::string();
}

/// One answer as it streams in.
class Reading {
 public:
  explicit Reading(Clock::time_point arrived)
      : arrived_(arrived), events_([this](const std::string& name, const std::string& data) { take(name, data); }) {}

  void add(std::string_view bytes) {
    if (body_.size() < kMostErrorBytes) body_.append(bytes.substr(0, kMostErrorBytes));
    events_.add(bytes);
  }

  LoadedRequest finish(const httplib::Result& result) {
    request_.total_ms = milliseconds_between(arrived_, Clock::now());
    if (request_.tokens > 1) {
      request_.per_token_ms = (last_token_ms_ - request_.ttft_ms) / static_cast<double>(request_.tokens - 1);
    }
    if (!result) {
      request_.error = result.error() == httplib::Error::Connection ? "cannot connect" : "connection lost or timed out";
    } else if (result->status != 200) {
      request_.error = message(result->status, ' ', code_of(body_));
    } else if (request_.error.empty() && !is_done_) {
      request_.error = "stream without end";
    }
    return request_;
  }

 private:
  static constexpr std::size_t kMostErrorBytes = 4096;

  void take(const std::string& name, const std::string& data) {
    if (name == "token") {
      last_token_ms_ = milliseconds_between(arrived_, Clock::now());
      if (request_.tokens++ == 0) request_.ttft_ms = last_token_ms_;
    } else if (name == "done") {
      is_done_ = true;
    } else if (name == "error") {
      request_.error = message("in the stream: ", code_of(data));
    }
  }

  Clock::time_point arrived_;
  EventReader events_;
  LoadedRequest request_;
  std::string body_;  // its beginning: what an error says
  double last_token_ms_ = 0;
  bool is_done_ = false;
};

LoadedRequest ask(httplib::Client& client, const LoadPlan& plan, std::size_t number, Clock::time_point arrived) {
  Json body = plan.fields;
  body["question"] = plan.questions[number % plan.questions.size()];
  body["stream"] = true;
  httplib::Request request;
  request.method = "POST";
  request.path = "/v1/query";
  request.set_header("Content-Type", "application/json");
  if (!plan.api_key.empty()) request.set_header("Authorization", "Bearer " + plan.api_key);
  request.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  Reading reading(arrived);
  request.content_receiver = [&reading](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
    reading.add({data, size});
    return true;
  };
  return reading.finish(client.send(request));
}

/// Of the requests that were answered; none where none has such a time.
std::vector<double> times_of(const LoadResult& result, double LoadedRequest::*value) {
  std::vector<double> values;
  for (const LoadedRequest& request : result.requests) {
    if (request.error.empty() && request.*value > 0) values.push_back(request.*value);
  }
  return values;
}

Json shares_json(const LoadResult& result, double LoadedRequest::*value) {
  const std::vector<double> times = times_of(result, value);
  if (times.empty()) return nullptr;
  return {{"p50", percentile(times, kShares[0])},
          {"p95", percentile(times, kShares[1])},
          {"p99", percentile(times, kShares[2])}};
}

std::string shares_text(const LoadResult& result, double LoadedRequest::*value) {
  const std::vector<double> times = times_of(result, value);
  if (times.empty()) return "-";
  std::string text;
  for (const double share : kShares) text += (text.empty() ? "" : " / ") + text_of(percentile(times, share), 1);
  return text;
}

struct Totals {
  std::size_t answered = 0;
  double requests_a_second = 0;
  double tokens_a_second = 0;
};

Totals totals_of(const LoadResult& result) {
  Totals totals;
  std::size_t tokens = 0;
  for (const LoadedRequest& request : result.requests) {
    totals.answered += request.error.empty() ? 1 : 0;
    tokens += request.error.empty() ? request.tokens : 0;
  }
  const double seconds = result.elapsed_ms / 1000;
  totals.requests_a_second = static_cast<double>(totals.answered) / seconds;
  totals.tokens_a_second = static_cast<double>(tokens) / seconds;
  return totals;
}

}  // namespace

void EventReader::add(std::string_view bytes) {
  rest_ += bytes;
  std::size_t begin = 0;
  for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', begin)) {
    std::string_view line = std::string_view(rest_).substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    take_line(line);
    begin = end + 1;
  }
  rest_.erase(0, begin);
}

void EventReader::take_line(std::string_view line) {
  if (line.empty()) {
    if (!data_.empty()) on_event_(name_, data_);
    name_.clear();
    data_.clear();
  } else if (line.starts_with("event: ")) {
    name_ = line.substr(7);
  } else if (line.starts_with("data: ")) {
    data_ += line.substr(6);
  }
}

LoadResult run_load(const LoadPlan& plan, const std::function<void()>& on_done) {
  check_load(plan);
  const std::vector<double> arrivals = arrivals_of(plan);
  LoadResult result{plan.clients, plan.rate, 0, std::vector<LoadedRequest>(plan.requests)};
  std::atomic<std::size_t> next = 0;
  const Stopwatch watch;
  const auto client_loop = [&] {
    httplib::Client client(plan.url);
    client.set_keep_alive(true);
    client.set_tcp_nodelay(true);
    const auto whole_seconds = static_cast<time_t>(plan.timeout_seconds);
    client.set_read_timeout(whole_seconds);
    client.set_connection_timeout(std::min<time_t>(whole_seconds, 10));
    for (std::size_t n = next++; n < plan.requests; n = next++) {
      Clock::time_point arrived = Clock::now();
      if (plan.rate) {
        arrived = watch.start() +
                  std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double, std::milli>(arrivals[n]));
        std::this_thread::sleep_until(arrived);
      }
      result.requests[n] = ask(client, plan, n, arrived);
      if (on_done) on_done();
    }
  };
  std::vector<std::thread> clients;
  for (std::size_t n = 0; n < plan.clients; ++n) clients.emplace_back(client_loop);
  for (std::thread& client : clients) client.join();
  result.elapsed_ms = watch.elapsed_ms();
  return result;
}

std::map<std::string, std::size_t> errors_of(const LoadResult& result) {
  std::map<std::string, std::size_t> errors;
  for (const LoadedRequest& request : result.requests) {
    if (!request.error.empty()) ++errors[request.error];
  }
  return errors;
}

Json to_json(const LoadResult& result) {
  const Totals totals = totals_of(result);
  return {{"clients", result.clients},
          {"rate", result.rate ? Json(*result.rate) : Json()},
          {"requests", result.requests.size()},
          {"answered", totals.answered},
          {"errors", errors_of(result)},
          {"elapsed_ms", result.elapsed_ms},
          {"requests_per_second", totals.requests_a_second},
          {"tokens_per_second", totals.tokens_a_second},
          {"ttft_ms", shares_json(result, &LoadedRequest::ttft_ms)},
          {"ttit_ms", shares_json(result, &LoadedRequest::per_token_ms)},
          {"total_ms", shares_json(result, &LoadedRequest::total_ms)}};
}

std::string to_markdown(const std::vector<LoadResult>& results) {
  std::ostringstream out;
  out << "| load | requests | answered | requests/s | tokens/s | TTFT ms p50 / p95 / p99 | TTIT ms | whole answer ms | "
         "errors |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |\n";
  for (const LoadResult& result : results) {
    const Totals totals = totals_of(result);
    std::string errors;
    for (const auto& [kind, count] : errors_of(result))
      errors += message(errors.empty() ? "" : ", ", count, " × ", kind);
    out << "| "
        << (result.rate ? message(*result.rate, "/s, up to ", result.clients, " at a time")
                        : message(result.clients, result.clients == 1 ? " client" : " clients"))
        << " | " << result.requests.size() << " | " << totals.answered << " | " << text_of(totals.requests_a_second, 2)
        << " | " << text_of(totals.tokens_a_second, 1) << " | " << shares_text(result, &LoadedRequest::ttft_ms) << " | "
        << shares_text(result, &LoadedRequest::per_token_ms) << " | " << shares_text(result, &LoadedRequest::total_ms)
        << " | " << (errors.empty() ? "none" : errors) << " |\n";
  }
  return out.str();
}

}  // namespace refrag::bench

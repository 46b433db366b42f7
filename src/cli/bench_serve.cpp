#include <CLI/CLI.hpp>
#include <atomic>
#include <iostream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json_reader.h"
#include "base/progress.h"
#include "bench/load.h"
#include "cli/bench_parts.h"
#include "cli/commands.h"
#include "cli/exit_code.h"
#include "cli/print_json.h"

namespace refrag::cli {
namespace {

struct ServeFlags {
  bench::LoadPlan plan;
  std::vector<std::size_t> clients = {1, 4, 16};
  std::vector<double> rates;
  std::string questions_file;
  std::string key_file;
  std::string body;
  std::string mode = "refrag";
  std::size_t max_tokens = 64;
  bool quiet = false;
};

std::vector<std::string> lines_of(const std::string& file) {
  std::vector<std::string> lines;
  std::istringstream text(read_file(file));
  for (std::string line; std::getline(text, line);) {
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

/// One load after another: each number of clients, then each rate at the largest of them.
std::vector<bench::LoadPlan> loads_of(const ServeFlags& flags) {
  bench::LoadPlan plan = flags.plan;
  if (!flags.questions_file.empty()) {
    for (const std::string& line : lines_of(flags.questions_file)) plan.questions.push_back(line);
  }
  if (!flags.key_file.empty()) {
    const std::vector<std::string> keys = lines_of(flags.key_file);
    plan.api_key = keys.empty() ? "" : keys.front();
  }
  plan.fields = {{"mode", flags.mode}, {"max_tokens", flags.max_tokens}};
  if (!flags.body.empty()) plan.fields.update(parse_json(flags.body, "--body"));
  std::vector<bench::LoadPlan> loads;
  if (flags.rates.empty()) {
    for (const std::size_t clients : flags.clients) loads.emplace_back(plan).clients = clients;
  }
  for (const double rate : flags.rates) {
    for (const std::size_t clients : flags.clients) {
      loads.push_back(plan);
      loads.back().clients = clients;
      loads.back().rate = rate;
    }
  }
  return loads;
}

int run_serve(const ServeFlags& flags, bool json) {
  const std::vector<bench::LoadPlan> loads = loads_of(flags);
  ProgressBar bar("bench serve", "requests", loads.size() * flags.plan.requests, flags.quiet);
  std::mutex bar_mutex;
  std::size_t done = 0;
  std::vector<bench::LoadResult> results;
  for (const bench::LoadPlan& load : loads) {
    results.push_back(bench::run_load(load, [&] {
      const std::lock_guard lock(bar_mutex);
      bar.update(++done);
    }));
  }
  bar.finish();
  std::size_t answered = 0;
  Json rows = Json::array();
  for (const bench::LoadResult& result : results) {
    rows.push_back(bench::to_json(result));
    answered += rows.back()["answered"].get<std::size_t>();
  }
  if (json) {
    print_json({{"loads", rows}});
  } else {
    std::cout << bench::to_markdown(results);
  }
  return answered > 0 ? kDone : kFailure;
}

}  // namespace

void add_bench_serve(CLI::App& bench, CommandContext& context) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* command = bench.add_subcommand("serve", "Load on a running server: latencies, throughput, errors");
  command->add_option("--url", flags->plan.url, "of the server, http://HOST:PORT")->required();
  command->add_option("--question", flags->plan.questions, "may be repeated; asked in turn");
  command->add_option("--questions", flags->questions_file, "file with a question a line");
  command->add_option("--clients", flags->clients, "requests at a time; each number is a load of its own")
      ->delimiter(',')
      ->capture_default_str();
  command
      ->add_option("--rate", flags->rates,
                   "open loop: arrivals a second at random, with up to --clients at a time; times run from when a "
                   "request was due")
      ->delimiter(',');
  command->add_option("--requests", flags->plan.requests, "of each load")->capture_default_str();
  command->add_option("--mode", flags->mode, "refrag, full or none")
      ->check(CLI::IsMember({"refrag", "full", "none"}))
      ->capture_default_str();
  command->add_option("--max-tokens", flags->max_tokens, "of an answer")->capture_default_str();
  command->add_option("--body", flags->body, "JSON object: more fields of each request (docs/http-api.md)");
  command->add_option("--api-key-file", flags->key_file, "file whose first line is the server's key");
  command->add_option("--timeout", flags->plan.timeout_seconds, "seconds without a byte from the server")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  command->add_option("--seed", flags->plan.seed, "of the arrivals")->capture_default_str();
  command->add_flag("--quiet", flags->quiet, "no progress bar");
  command->add_flag("--json", context.json, "print the figures as JSON");
  command->footer(R"(
TTFT runs to the first token event of the streamed answer. Requests that fail count by kind and in no latency; with
none answered the exit code is 1.

Examples:
  refrag bench serve --url http://127.0.0.1:8080 --question "What is the section of oomd?" --clients 1,8,64
  refrag bench serve --url http://127.0.0.1:8080 --questions questions.txt --rate 2,4 --clients 32)");
  command->callback(
      [flags, &context] { context.command = [flags, &context] { return run_serve(*flags, context.json); }; });
}

}  // namespace refrag::cli

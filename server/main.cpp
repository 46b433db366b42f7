#include <semaphore.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "base/message.h"
#include "engine/bundle_runner.h"
#include "refrag/model_bundle.h"
#include "server/server.h"

namespace refrag::server {
namespace {

constexpr int kWrongUse = 2;

ModelOptions model_options(const ServerConfig& config) {
  ModelOptions options;
  for (const Dtype dtype : {Dtype::kAuto, Dtype::kFp32, Dtype::kBf16, Dtype::kInt8}) {
    if (config.dtype == name_of(dtype)) options.dtype = dtype;
  }
  options.device = config.device == "cuda" ? Device::kCuda : Device::kCpu;
  options.threads = config.threads;
  return options;
}

std::shared_ptr<KnowledgeBase> open_or_create(const ServerConfig& config, const ModelBundle& bundle) {
  if (config.kb.empty()) return nullptr;
  if (KnowledgeBase::exists(config.kb)) return KnowledgeBase::open(config.kb);
  log_info(message("no knowledge base at ", config.kb, ": made an empty one"));
  return KnowledgeBase::create(
      config.kb, bundle.schema(config.vector_format == "int8" ? VectorFormat::kInt8 : VectorFormat::kFp16));
}

std::shared_ptr<Backend> load_backend(const ServerConfig& config) {
  const auto bundle = ModelBundle::load(config.model, model_options(config));
  return std::make_shared<Backend>(std::make_shared<BundleRunner>(bundle), open_or_create(config, *bundle),
                                   engine_config(config));
}

sem_t told_to_end;  // a signal handler can reach nothing but a global

/// SIGTERM and SIGINT, noted instead of ending the process. Handled, not blocked and waited for: libraries start
/// threads before main that block nothing, and a signal nobody handles ends the process through them.
class EndingSignals {
 public:
  EndingSignals() {
    ::sem_init(&told_to_end, 0, 0);
    handle_both(note);
  }
  void wait() const {
    while (::sem_wait(&told_to_end) != 0) {
    }
  }
  bool wait_for_a_moment() const {
    timespec until{};
    ::clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 50'000'000;
    until.tv_sec += until.tv_nsec / 1'000'000'000;
    until.tv_nsec %= 1'000'000'000;
    return ::sem_timedwait(&told_to_end, &until) == 0;
  }
  /// From now on a signal ends the process at once: for whoever asks twice.
  void release() const { handle_both(SIG_DFL); }

 private:
  static void note(int) { ::sem_post(&told_to_end); }
  static void handle_both(void (*handler)(int)) {
    handle(SIGTERM, handler);
    struct sigaction before = {};
    ::sigaction(SIGINT, nullptr, &before);
    if (before.sa_handler != SIG_IGN) handle(SIGINT, handler);  // a shell's background job has no Ctrl-C
  }
  static void handle(int signal, void (*handler)(int)) {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
};

/// The backend, or nothing where a signal came first: there is no use in loading on.
std::shared_ptr<Backend> load_unless_told_to_end(const ServerConfig& config, const EndingSignals& signals) {
  std::future<std::shared_ptr<Backend>> loading = std::async(std::launch::async, load_backend, config);
  while (loading.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    if (signals.wait_for_a_moment()) std::_Exit(EXIT_SUCCESS);  // nothing is being answered, nothing half written
  }
  return loading.get();
}

std::string address_of(const ServerConfig& config, int port) {
  const bool is_v6 = config.host.find(':') != std::string::npos;
  return message(config.tls_cert.empty() ? "http://" : "https://", is_v6 ? "[" : "", config.host, is_v6 ? "]" : "", ':',
                 port);
}

/// Where no connection is accepted any more, nobody reaches us: end, so that a supervisor starts us anew. What was
/// being answered then has been.
void run_or_end(Server& server) {
  try {
    server.run();
  } catch (const Error& error) {
    std::cerr << "refrag-server: error: " << error.what() << '\n';
    std::_Exit(EXIT_FAILURE);
  }
}

void serve(const ServerConfig& config) {
  const EndingSignals signals;
  Server server(config);
  const std::string address = address_of(config, server.bind());
  std::thread http([&server] { run_or_end(server); });
  try {
    log_info(message("loading ", config.model, "; /healthz answers on ", address));
    server.set_backend(load_unless_told_to_end(config, signals));
  } catch (...) {
    server.shut_down();
    http.join();
    throw;
  }
  std::cout << "listening on " << address << std::endl;  // said once questions can be answered
  signals.wait();
  log_info("shutting down: running requests may finish");
  signals.release();
  server.shut_down();
  http.join();
}

int run(const std::vector<std::string>& arguments) {
  const auto environment = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
  const std::optional<ServerConfig> config = read_config(arguments, environment, std::cout);
  if (!config) return EXIT_SUCCESS;
  configure_log({.level = parse_log_level(config->log_level), .json = config->log_format == "json"});
  serve(*config);
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace refrag::server

int main(int argc, char** argv) {
  try {
    return refrag::server::run({argv + 1, argv + argc});
  } catch (const refrag::Error& error) {
    std::cerr << "refrag-server: error: " << error.what() << '\n';
    return error.code() == refrag::ErrorCode::kInvalidArgument ? refrag::server::kWrongUse : EXIT_FAILURE;
  } catch (const std::exception& error) {
    std::cerr << "refrag-server: error: " << error.what() << '\n';
    return EXIT_FAILURE;
  }
}

#include "server/config.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <ostream>
#include <type_traits>
#include <variant>

#include "base/json_reader.h"
#include "base/message.h"
#include "refrag/version.h"

namespace refrag::server {
namespace {

using Member = std::variant<std::string ServerConfig::*, std::size_t ServerConfig::*, double ServerConfig::*>;

struct Option {
  const char* name;  // as a key of the file; flag and variable follow from it
  Member member;
  const char* help;
  double least = 0;  // of numbers
  double most = 0;
  std::vector<std::string> words = {};  // of texts; empty: any
};

constexpr double kAny = 9e15;  // integers up to here are exact in a double
constexpr double kDay = 24 * 3600;

const std::vector<Option>& options() {
  using C = ServerConfig;
  static const std::vector<Option> kOptions = {
      {"model", &C::model, "model directory: a bundle, or a Hugging Face LLaMA checkpoint (required)"},
      {"kb", &C::kb, "knowledge base directory, made where there is none; without it passages come with each request"},
      {"host", &C::host, "address to listen on"},
      {"port", &C::port, "port to listen on; 0 picks a free one", 0, 65535},
      {"threads", &C::threads, "threads of one model operation; 0: one a physical core", 0, 1024},
      {"dtype",
       &C::dtype,
       "of the computation: auto, fp32, bf16; int8: of the decoder's weights",
       0,
       0,
       {"auto", "fp32", "bf16", "int8"}},
      {"device", &C::device, "cpu, or cuda where libtorch has it", 0, 0, {"cpu", "cuda"}},
      {"vector_format", &C::vector_format, "of a knowledge base that is made: fp16, int8", 0, 0, {"fp16", "int8"}},
      {"max_running", &C::max_running, "questions answered side by side", 1, 1024},
      {"max_queue", &C::max_queue, "questions that wait; one more gets 429", 0, 1e6},
      {"kv_cache_bytes", &C::kv_cache_bytes, "memory for all KV caches; 0: a quarter of the machine's", 0, kAny},
      {"max_context", &C::max_context, "positions of a prompt with its answer; 0: what the model allows", 0, kAny},
      {"max_tokens", &C::max_tokens, "longest answer a request may ask for", 1, 1e6},
      {"max_connections", &C::max_connections, "open connections, a thread each; one more gets 503", 1, 10000},
      {"max_body_bytes", &C::max_body_bytes, "of a request's body; a larger one gets 413", 1024, kAny},
      {"max_bulk_bytes", &C::max_bulk_bytes, "of a body of NDJSON documents", 1024, kAny},
      {"max_text_bytes", &C::max_text_bytes, "of a question or a text to embed", 1, kAny},
      {"request_seconds", &C::request_seconds, "time for one answer; then 408", 0.01, kDay},
      {"read_seconds", &C::read_seconds, "patience with a client that sends nothing", 0.01, kDay},
      {"write_seconds", &C::write_seconds, "patience with a client that does not read", 0.01, kDay},
      {"keep_alive_seconds", &C::keep_alive_seconds, "patience between two requests of a connection", 0.01, kDay},
      {"drain_seconds", &C::drain_seconds, "after SIGTERM, time for running requests before they are cancelled", 0,
       kDay},
      {"api_keys", &C::api_keys,
       "keys separated by commas that requests must carry; prefer REFRAG_API_KEYS or api_key_file: flags are visible"},
      {"api_key_file", &C::api_key_file, "file of keys, one a line"},
      {"cors_origin", &C::cors_origin, "origin that browsers may call from, or *"},
      {"tls_cert", &C::tls_cert, "certificate chain (PEM); with tls_key serves HTTPS"},
      {"tls_key", &C::tls_key, "private key (PEM)"},
      {"log_level",
       &C::log_level,
       "debug, info, warning, error, off",
       0,
       0,
       {"debug", "info", "warning", "error", "off"}},
      {"log_format", &C::log_format, "text or json, one line a request, without bodies", 0, 0, {"text", "json"}},
  };
  return kOptions;
}

std::string flag_of(const Option& option) {
  std::string flag = message("--", option.name);
  std::replace(flag.begin(), flag.end(), '_', '-');
  return flag;
}

std::string variable_of(const Option& option) {
  std::string variable = message("REFRAG_", option.name);
  std::transform(variable.begin(), variable.end(), variable.begin(), [](unsigned char c) { return std::toupper(c); });
  return variable;
}

/// `where` is the flag, variable or key as its user wrote it.
[[noreturn]] void fail(const std::string& where, const std::string& found, const std::string& expected) {
  throw Error(ErrorCode::kInvalidArgument, message(where, " is ", found, "; expected ", expected), where);
}

template <typename Number>
Number parse_number(const Option& option, const std::string& where, const std::string& text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(static_cast<double>(value) >= option.least) ||
      !(static_cast<double>(value) <= option.most)) {
    fail(where, '"' + text + '"',
         message(std::is_integral_v<Number> ? "an integer, " : "a number, ", option.least, " to ", option.most));
  }
  return value;
}

/// An unset variable of a shell or a compose file looks like this; it must not start a server open to everybody.
void refuse_empty_keys(const Option& option, const std::string& where, const std::string& text) {
  const std::string name = option.name;
  if (text.empty() && (name == "api_keys" || name == "api_key_file")) {
    fail(where, "empty", "keys; leave it out for a server without them");
  }
}

void set(ServerConfig& config, const Option& option, const std::string& where, const std::string& text) {
  refuse_empty_keys(option, where, text);
  std::visit(
      [&](auto member) {
        using Value = std::decay_t<decltype(config.*member)>;
        if constexpr (std::is_same_v<Value, std::string>) {
          const auto& words = option.words;
          if (!words.empty() && std::find(words.begin(), words.end(), text) == words.end()) {
            std::string expected = "one of";
            for (const std::string& word : words) expected += " " + word;
            fail(where, '"' + text + '"', expected);
          }
          config.*member = text;
        } else {
          config.*member = parse_number<Value>(option, where, text);
        }
      },
      option.member);
}

std::string text_of(const ServerConfig& config, const Option& option) {
  return std::visit(
      [&](auto member) {
        if constexpr (std::is_same_v<std::decay_t<decltype(config.*member)>, std::string>) {
          return config.*member;
        } else {
          return Json(config.*member).dump();
        }
      },
      option.member);
}

void read_file(ServerConfig& config, const std::string& path) {
  const Json json = parse_json_file(path);
  JsonReader reader(json, path + ": ");
  for (const Option& option : options()) {
    if (!reader.has(option.name)) {
      reader.ignore(option.name);
      continue;
    }
    const Json& value = reader.value(option.name);
    const bool wants_text = std::holds_alternative<std::string ServerConfig::*>(option.member);
    if (wants_text != value.is_string() || (!wants_text && !value.is_number())) {
      reader.fail(option.name, wants_text ? "a string" : "a number");
    }
    set(config, option, reader.path_of(option.name), wants_text ? value.get<std::string>() : value.dump());
  }
  reader.finish();
}

std::string help_of(const Option& option) {
  std::string help = message(option.help, " [", variable_of(option));
  const std::string fallback = text_of(ServerConfig(), option);
  return help + (fallback.empty() ? "]" : ", default " + fallback + "]");
}

constexpr const char* kFooter = R"(
Flags win over environment variables, and those over the --config file. SIGTERM and SIGINT let running requests finish.

Examples:
  refrag-server --model models/refrag-tiny --kb kb/packages
  REFRAG_API_KEYS=secret refrag-server --config server.json --host 0.0.0.0)";

}  // namespace

std::optional<ServerConfig> read_config(const std::vector<std::string>& arguments, const Environment& environment,
                                        std::ostream& out) {
  CLI::App app("refrag-server: questions over documents, answered over HTTP with compressed context", "refrag-server");
  app.footer(kFooter);
  app.set_version_flag("--version", kVersion);
  std::string file;
  bool print = false;
  app.add_option("--config", file, "JSON file of options, each under its long name with '_' for '-' [REFRAG_CONFIG]");
  app.add_flag("--print-config", print, "print what flags, environment and file come to, then end");
  std::map<std::string, std::string> flags;  // by option name
  for (const Option& option : options()) app.add_option(flag_of(option), flags[option.name], help_of(option));
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());  // as CLI11 takes them
  try {
    app.parse(reversed);
  } catch (const CLI::Success& asked) {
    app.exit(asked, out, out);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    throw Error(ErrorCode::kInvalidArgument, error.what());
  }
  ServerConfig config;
  if (file.empty()) file = environment("REFRAG_CONFIG").value_or("");
  if (!file.empty()) read_file(config, file);
  for (const Option& option : options()) {
    const std::optional<std::string> value = environment(variable_of(option));
    if (value) set(config, option, variable_of(option), *value);
    if (app.count(flag_of(option)) > 0) set(config, option, flag_of(option), flags[option.name]);
  }
  if (print) {
    out << config_json(config) << '\n';
    return std::nullopt;
  }
  if (config.model.empty())
    throw Error(ErrorCode::kInvalidArgument, "--model is missing; expected a model directory", "--model");
  return config;
}

std::string config_json(const ServerConfig& config) {
  nlohmann::ordered_json json;
  for (const Option& option : options()) {
    if (option.name == std::string("api_keys")) continue;
    if (option.name == std::string("api_key_file") && config.api_key_file.empty()) continue;
    std::visit([&](auto member) { json[option.name] = config.*member; }, option.member);
  }
  return json.dump(2);
}

}  // namespace refrag::server

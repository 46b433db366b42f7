#include "base/log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <atomic>
#include <memory>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr const char* kTextPattern = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
constexpr const char* kJsonPattern = R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

/// The process's one logger: silent until configured, never destroyed (threads may log while the process ends).
struct Log {
  Log() { logger.set_level(spdlog::level::off); }

  spdlog::logger logger{"refrag", std::make_shared<spdlog::sinks::stderr_sink_mt>()};
  std::atomic<bool> json = false;
};

Log& log() {
  static Log& instance = *std::make_unique<Log>().release();
  return instance;
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

/// On one line; what is not UTF-8 becomes U+FFFD.
std::string dumped(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// A line break in a file name or a request must not forge a second log line.
std::string on_one_line(const std::string& text) {
  const bool has_controls = text.find_first_of("\r\n\x1b") != std::string::npos;
  return has_controls ? dumped(text) : text;
}

/// Without its braces: the pattern has those, and the time and the level in front.
std::string members_of(const Json& fields) {
  const std::string object = dumped(fields);
  return object.substr(1, object.size() - 2);
}

void write(spdlog::level::level_enum level, const std::string& text, const Json& fields) {
  Log& to = log();
  if (to.logger.should_log(level)) {
    to.logger.log(level, spdlog::string_view_t(to.json ? members_of(fields) : on_one_line(text)));
  }
}

void write(spdlog::level::level_enum level, const std::string& text) { write(level, text, {{"message", text}}); }

}  // namespace

void configure_log(const LogOptions& options) {
  Log& to = log();
  to.json = options.json;
  to.logger.set_pattern(options.json ? kJsonPattern : kTextPattern, spdlog::pattern_time_type::utc);
  to.logger.set_level(spdlog_level(options.level));
}

LogLevel parse_log_level(std::string_view word) {
  for (const auto& [name, level] : {std::pair{"debug", LogLevel::kDebug},
                                    {"info", LogLevel::kInfo},
                                    {"warning", LogLevel::kWarning},
                                    {"error", LogLevel::kError},
                                    {"off", LogLevel::kOff}}) {
    if (word == name) {
      return level;
    }
  }
  throw Error(ErrorCode::kInvalidArgument,
              message("log_level is \"", word, "\"; expected debug, info, warning, error or off"), "log_level");
}

void log_debug(const std::string& text) { write(spdlog::level::debug, text); }
void log_info(const std::string& text) { write(spdlog::level::info, text); }
void log_warning(const std::string& text) { write(spdlog::level::warn, text); }
void log_error(const std::string& text) { write(spdlog::level::err, text); }
void log_record(const std::string& text, const Json& fields) { write(spdlog::level::info, text, fields); }

}  // namespace refrag

#pragma once
#include <string>
#include <string_view>

#include "base/json_reader.h"

namespace refrag {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

/// Where log lines go and how they look, for the whole process. The library itself stays silent (kOff) until asked.
struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  bool json = false;  // one JSON object a line; else text
};
void configure_log(const LogOptions& options);    // standard error
LogLevel parse_log_level(std::string_view word);  // throws kInvalidArgument, param "log_level"

void log_debug(const std::string& text);
void log_info(const std::string& text);
void log_warning(const std::string& text);
void log_error(const std::string& text);
/// Of level info: `fields` (an object that is not empty) beside time and level where lines are JSON, else `text`.
void log_record(const std::string& text, const Json& fields);

}  // namespace refrag

#include "text/json_parts.h"

#include "base/message.h"

namespace refrag {

void refuse_type(const JsonReader& json, const std::string& part, const std::string& type) {
  const std::string field = json.path_of("type");
  throw Error(ErrorCode::kUnsupported, message(field, ": the ", part, " \"", type, "\" is not supported"), field);
}

Regex read_pattern(JsonReader& json) {
  const std::string field = json.path_of("pattern");
  JsonReader pattern = json.object("pattern");
  if (pattern.has("String")) {
    return Regex::of_text(pattern.text("String"));
  }
  if (pattern.has("Regex")) {
    return Regex(pattern.text("Regex"));
  }
  json.fail("pattern", "{\"String\": text} or {\"Regex\": pattern}");
}

}  // namespace refrag

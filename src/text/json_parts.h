#pragma once
#include <string>

#include "base/json_reader.h"
#include "text/regex.h"

namespace refrag {

/// Throws kUnsupported for a part of a tokenizer.json ("pre-tokenizer") whose type is not known, naming it.
[[noreturn]] void refuse_type(const JsonReader& json, const std::string& part, const std::string& type);

/// The field "pattern": {"String": text} or {"Regex": pattern}.
Regex read_pattern(JsonReader& json);

}  // namespace refrag

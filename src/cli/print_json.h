#pragma once
#include <string>

#include "base/json_reader.h"

namespace refrag::cli {

/// JSON as text, on one line unless `indent` is 0 or more. What is not UTF-8 (an argument, the name of a file) becomes
/// U+FFFD: an error about it must still get out.
std::string json_text(const Json& json, int indent = -1);

/// The same on standard output, at once.
void print_json(const Json& json, int indent = -1);

}  // namespace refrag::cli

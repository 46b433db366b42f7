#pragma once
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_syntax.h"
#include "text/jinja_value.h"

namespace refrag::jinja {

/// Runs a parsed template with these variables. Bounded in time, memory and stack by jinja_budget.h. Throws
/// kInvalidArgument with the template's own words for raise_exception and for wrong types, kUnsupported naming a
/// filter, test or function.
Text render(const Block& program, const std::vector<std::pair<std::string, Value>>& variables);

/// Throws kUnsupported for a filter or test in the program that render does not know, used or not.
void check_names(const Block& program);

}  // namespace refrag::jinja

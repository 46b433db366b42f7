#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja_value.h"

namespace refrag::jinja {

/// Arguments that have been evaluated.
struct Values {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
  /// The argument at `index` or called `name`; null where it is missing.
  const Value* find(std::size_t index, std::string_view name) const;
};

bool is_known_filter(std::string_view name);
bool is_known_test(std::string_view name);
Value apply_filter(const std::string& name, const Value& value, const Values& arguments, Budget& budget);
bool apply_test(const std::string& name, const Value& value, const Values& arguments, Budget& budget);
/// "x".strip(), {}.items() and their like. Throws kUnsupported for a method that is not known.
Value call_method(const Value& self, const std::string& name, const Values& arguments, Budget& budget);
bool has_method(const Value& self, std::string_view name);
/// range, raise_exception, strftime_now, namespace, dict.
Value call_function(const std::string& name, const Values& arguments, Budget& budget);
bool is_known_function(std::string_view name);

/// value.name or value["name"]; undefined where there is none.
Value member(const Value& value, const std::string& name);
/// The items that a loop goes over. Throws for what cannot be looped over.
std::vector<Value> items_of(const Value& value, Budget& budget);
bool contains(const Value& container, const Value& item, Budget& budget);

}  // namespace refrag::jinja

#include "text/jinja_filters.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>
#include <optional>

#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"

namespace refrag::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100'000;
constexpr std::size_t kMaxMessage = 1000;  // code points of raise_exception's

[[noreturn]] void refuse(const char* what, const std::string& name) {
  throw Error(ErrorCode::kUnsupported, message("chat template: the ", what, " '", name, "' is not supported"));
}

const Text& text_of(const Value& value, const std::string& where) {
  const auto* text = value.as<Text>();
  if (text == nullptr) {
    fail(message(where, " wants a string, not ", type_name(value)));
  }
  return *text;
}

const Text& text_argument(const Values& arguments, std::size_t index, std::string_view name, const std::string& where) {
  const Value* value = arguments.find(index, name);
  if (value == nullptr) {
    fail(message(where, " wants the argument ", name));
  }
  return text_of(*value, where);
}

std::int64_t whole_argument(const Values& arguments, std::size_t index, std::string_view name, std::int64_t fallback) {
  const Value* value = arguments.find(index, name);
  if (value == nullptr || value->as<None>() != nullptr) {
    return fallback;
  }
  if (const auto* whole = value->as<std::int64_t>()) {
    return *whole;
  }
  fail(message(name, " is ", type_name(*value), "; expected a whole number"));
}

/// What is looked for anew at every character of a text must be short.
const std::string& short_text(const Value& value, const std::string& where) {
  const std::string& bytes = text_of(value, where).bytes;
  if (bytes.size() > kMaxCharacterSetBytes) {
    fail(message(where, " with a string of ", bytes.size(), " bytes; expected at most ", kMaxCharacterSetBytes));
  }
  return bytes;
}

std::string set_argument(const Values& arguments) {
  const Value* value = arguments.find(0, "chars");
  return value == nullptr || value->as<None>() != nullptr ? std::string() : short_text(*value, "strip");
}

Value text_list(std::vector<Text> texts) {
  return Value::list({std::make_move_iterator(texts.begin()), std::make_move_iterator(texts.end())});
}

Value length_of(const Value& value, Budget& budget) {
  if (const auto* text = value.as<Text>()) {
    budget.spend_bytes(text->bytes.size());
    return static_cast<std::int64_t>(length(*text));
  }
  if (const auto* list = value.as<List>()) {
    return static_cast<std::int64_t>((*list)->size());
  }
  if (const auto* dict = value.as<Dict>()) {
    return static_cast<std::int64_t>((*dict)->items.size());
  }
  if (value.as<Undefined>() != nullptr) {
    return std::int64_t{0};
  }
  fail(message("length of ", type_name(value)));
}

Value pairs_of(const Dict& dict) {
  std::vector<Value> pairs;
  for (const auto& [key, held] : dict->items) {
    pairs.push_back(Value::list({Text::ours(key), held}));
  }
  return Value::list(std::move(pairs));
}

Value join(const Value& value, const Values& arguments, Budget& budget) {
  const Value* separator = arguments.find(0, "d");
  const Value* attribute = arguments.find(1, "attribute");
  const Text between = separator != nullptr ? to_text(*separator, budget) : Text{};
  const std::string name = attribute != nullptr ? to_text(*attribute, budget).bytes : std::string();
  Text joined;
  bool first = true;
  for (const Value& item : items_of(value, budget)) {
    if (!first) {
      joined.add(between);
    }
    first = false;
    add_text(joined, attribute != nullptr ? member(item, name) : item);
  }
  return joined;
}

Value to_whole(const Value& value, const Values& arguments, Budget& budget) {
  const std::int64_t fallback = whole_argument(arguments, 0, "default", 0);
  if (const auto* number = value.as<double>()) {
    return std::abs(*number) < 9e18 ? static_cast<std::int64_t>(*number) : fallback;
  }
  if (const auto* flag = value.as<bool>()) {
    return static_cast<std::int64_t>(*flag);
  }
  if (value.as<std::int64_t>() != nullptr) {
    return value;
  }
  const auto* text = value.as<Text>();
  if (text == nullptr) {
    return fallback;
  }
  budget.spend_bytes(text->bytes.size());
  const std::string digits = strip(*text, {}, true, true).bytes;
  double number = 0;
  const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return fault == std::errc() && end == digits.data() + digits.size() && std::abs(number) < 9e18
             ? static_cast<std::int64_t>(number)
             : fallback;
}

/// select, reject (attribute empty), selectattr, rejectattr.
Value choose(const Value& value, const Values& arguments, bool by_attribute, bool keep, Budget& budget) {
  Values rest = arguments;
  std::string attribute;
  if (by_attribute) {
    attribute = text_argument(arguments, 0, "attribute", "selectattr").bytes;
    rest.positional.erase(rest.positional.begin());
  }
  std::optional<std::string> test;
  if (!rest.positional.empty()) {
    test = text_of(rest.positional.front(), "select").bytes;
    rest.positional.erase(rest.positional.begin());
  }
  std::vector<Value> chosen;
  for (const Value& item : items_of(value, budget)) {
    const Value judged = by_attribute ? member(item, attribute) : item;
    if ((test ? apply_test(*test, judged, rest, budget) : truth(judged)) == keep) {
      chosen.push_back(item);
    }
  }
  return Value::list(std::move(chosen));
}

Value map(const Value& value, const Values& arguments, Budget& budget) {
  std::vector<Value> mapped;
  if (const Value* attribute = arguments.find(SIZE_MAX, "attribute")) {
    const std::string name = to_text(*attribute, budget).bytes;
    for (const Value& item : items_of(value, budget)) {
      mapped.push_back(member(item, name));
    }
    return Value::list(std::move(mapped));
  }
  Values rest = arguments;
  const std::string filter = text_argument(arguments, 0, "filter", "map").bytes;
  rest.positional.erase(rest.positional.begin());
  if (filter == "map") {
    refuse("filter map of the filter", filter);  // it could go as deep as a tag has arguments
  }
  for (const Value& item : items_of(value, budget)) {
    mapped.push_back(apply_filter(filter, item, rest, budget));
  }
  return Value::list(std::move(mapped));
}

Value to_json_value(const Value& value, const Values& arguments, Budget&) {
  const std::int64_t indent = whole_argument(arguments, 0, "indent", -1);
  if (indent > 16) {
    fail("tojson: indent is above 16");
  }
  return to_json_text(value, static_cast<int>(indent));
}

struct NamedFilter {
  const char* name;
  Value (*apply)(const Value& value, const Values& arguments, Budget& budget);
};

Value first_of(const Value& value, const Values&, Budget& budget) {
  const std::vector<Value> items = items_of(value, budget);
  return items.empty() ? Value(Undefined{"first"}) : items.front();
}

Value last_of(const Value& value, const Values&, Budget& budget) {
  const std::vector<Value> items = items_of(value, budget);
  return items.empty() ? Value(Undefined{"last"}) : items.back();
}

Value default_of(const Value& value, const Values& arguments, Budget&) {
  const Value* fallback = arguments.find(0, "default_value");
  const Value* also_false = arguments.find(1, "boolean");
  const bool missing =
      value.as<Undefined>() != nullptr || (also_false != nullptr && truth(*also_false) && !truth(value));
  return missing ? (fallback != nullptr ? *fallback : Value(Text{})) : value;
}

Value replace_filter(const Value& value, const Values& arguments, Budget& budget) {
  const Text& old_text = text_argument(arguments, 0, "old", "replace");
  const Text& new_text = text_argument(arguments, 1, "new", "replace");
  budget.spend_bytes(old_text.bytes.size());
  return replace_all(to_text(value, budget), old_text, new_text, whole_argument(arguments, 2, "count", -1));
}

Value trim(const Value& value, const Values& arguments, Budget& budget) {
  return strip(to_text(value, budget), set_argument(arguments), true, true);
}

template <LetterCase kCase>
Value in_case(const Value& value, const Values&, Budget& budget) {
  return change_case(to_text(value, budget), kCase);
}

Value string_of(const Value& value, const Values&, Budget& budget) { return to_text(value, budget); }
Value count(const Value& value, const Values&, Budget& budget) { return length_of(value, budget); }

Value items_filter(const Value& value, const Values&, Budget&) {
  if (value.as<Undefined>() != nullptr) {
    return Value::list({});
  }
  const auto* dict = value.as<Dict>();
  if (dict == nullptr) {
    fail(message("items of ", type_name(value), "; expected a dict"));
  }
  return pairs_of(*dict);
}

constexpr std::array kFilters = {
    NamedFilter{"trim", trim},
    NamedFilter{"length", count},
    NamedFilter{"count", count},
    NamedFilter{"upper", in_case<LetterCase::kUpper>},
    NamedFilter{"lower", in_case<LetterCase::kLower>},
    NamedFilter{"title", in_case<LetterCase::kTitle>},
    NamedFilter{"capitalize", in_case<LetterCase::kCapitalize>},
    NamedFilter{"replace", replace_filter},
    NamedFilter{"join", join},
    NamedFilter{"default", default_of},
    NamedFilter{"d", default_of},
    NamedFilter{"first", first_of},
    NamedFilter{"last", last_of},
    NamedFilter{"list", [](const Value& v, const Values&, Budget& b) { return Value::list(items_of(v, b)); }},
    NamedFilter{"string", string_of},
    NamedFilter{"safe", string_of},
    NamedFilter{"int", to_whole},
    NamedFilter{"tojson", to_json_value},
    NamedFilter{"select", [](const Value& v, const Values& a, Budget& b) { return choose(v, a, false, true, b); }},
    NamedFilter{"reject", [](const Value& v, const Values& a, Budget& b) { return choose(v, a, false, false, b); }},
    NamedFilter{"selectattr", [](const Value& v, const Values& a, Budget& b) { return choose(v, a, true, true, b); }},
    NamedFilter{"rejectattr", [](const Value& v, const Values& a, Budget& b) { return choose(v, a, true, false, b); }},
    NamedFilter{"map", map},
    NamedFilter{"items", items_filter},
};

bool holds_text(const Value& v) { return v.as<Text>() != nullptr; }
bool is_sequence(const Value& v) { return holds_text(v) || v.as<List>() != nullptr || v.as<Dict>() != nullptr; }
bool is_number(const Value& v) {
  return v.as<bool>() != nullptr || v.as<std::int64_t>() != nullptr || v.as<double>() != nullptr;
}

struct NamedTest {
  const char* name;
  bool (*holds)(const Value& value, const Values& arguments, Budget& budget);
};

const Value& only_argument(const Values& arguments) {
  if (arguments.positional.empty()) {
    fail("a test wants an argument");
  }
  return arguments.positional.front();
}

bool equal_test(const Value& v, const Values& a, Budget& b) { return equal(v, only_argument(a), b); }

constexpr std::array kTests = {
    NamedTest{"defined", [](const Value& v, const Values&, Budget&) { return v.as<Undefined>() == nullptr; }},
    NamedTest{"undefined", [](const Value& v, const Values&, Budget&) { return v.as<Undefined>() != nullptr; }},
    NamedTest{"none", [](const Value& v, const Values&, Budget&) { return v.as<None>() != nullptr; }},
    NamedTest{"string", [](const Value& v, const Values&, Budget&) { return holds_text(v); }},
    NamedTest{"mapping", [](const Value& v, const Values&, Budget&) { return v.as<Dict>() != nullptr; }},
    NamedTest{"iterable",
              [](const Value& v, const Values&, Budget&) { return is_sequence(v) || v.as<Undefined>() != nullptr; }},
    NamedTest{"sequence",
              [](const Value& v, const Values&, Budget&) { return is_sequence(v) || v.as<Undefined>() != nullptr; }},
    NamedTest{"number", [](const Value& v, const Values&, Budget&) { return is_number(v); }},
    NamedTest{"integer", [](const Value& v, const Values&, Budget&) { return v.as<std::int64_t>() != nullptr; }},
    NamedTest{"float", [](const Value& v, const Values&, Budget&) { return v.as<double>() != nullptr; }},
    NamedTest{"boolean", [](const Value& v, const Values&, Budget&) { return v.as<bool>() != nullptr; }},
    NamedTest{"true", [](const Value& v, const Values&, Budget&) { return v.as<bool>() != nullptr && *v.as<bool>(); }},
    NamedTest{"false",
              [](const Value& v, const Values&, Budget&) { return v.as<bool>() != nullptr && !*v.as<bool>(); }},
    NamedTest{"equalto", equal_test},
    NamedTest{"eq", equal_test},
    NamedTest{"==", equal_test},
    NamedTest{"ne", [](const Value& v, const Values& a, Budget& b) { return !equal_test(v, a, b); }},
    NamedTest{"in", [](const Value& v, const Values& a, Budget& b) { return contains(only_argument(a), v, b); }},
};

template <std::size_t N, typename Named>
const Named* find_named(const std::array<Named, N>& all, std::string_view name) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Named& one) { return name == one.name; });
  return found == all.end() ? nullptr : &*found;
}

Value range(const Values& arguments) {
  std::array<std::int64_t, 3> bounds = {0, 0, 1};
  if (arguments.positional.size() == 1) {
    bounds[1] = whole_argument(arguments, 0, "stop", 0);
  } else {
    for (std::size_t n = 0; n < 3; ++n) {
      bounds[n] = whole_argument(arguments, n, "range", bounds[n]);
    }
  }
  const auto [start, stop, step] = bounds;
  const bool in_reach = std::max(std::abs(start), std::abs(stop)) <= kMaxRange && std::abs(step) <= kMaxRange;
  if (step == 0 || !in_reach) {
    fail(message("range(", start, ", ", stop, ", ", step, "); expected numbers up to ", kMaxRange,
                 " and a step that is not 0"));
  }
  std::vector<Value> numbers;
  for (std::int64_t n = start; step > 0 ? n < stop : n > stop; n += step) {
    numbers.emplace_back(n);
  }
  return Value::list(std::move(numbers));
}

Value strftime_now(const Values& arguments) {
  const std::string& format = text_argument(arguments, 0, "format", "strftime_now").bytes;
  if (format.size() > kMaxNameBytes) {
    fail(message("strftime_now with a format of ", format.size(), " bytes; expected at most ", kMaxNameBytes));
  }
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 256> text{};
  const std::size_t size = std::strftime(text.data(), text.size(), format.c_str(), &local);
  return Text::ours(to_valid_utf8(std::string_view(text.data(), size)));
}

/// Tuples and prefixes: "x".startswith(("a", "b")).
bool any_affix(const Text& text, const Value& affixes, bool at_start, Budget& budget) {
  const auto matches = [&](const Value& affix) {
    const std::string& bytes = text_of(affix, "startswith").bytes;
    budget.spend(1);
    budget.spend_bytes(std::min(bytes.size(), text.bytes.size()));
    return at_start ? text.bytes.starts_with(bytes) : text.bytes.ends_with(bytes);
  };
  if (const auto* list = affixes.as<List>()) {
    return std::any_of((*list)->begin(), (*list)->end(), matches);
  }
  return matches(affixes);
}

constexpr std::array kTextMethods = {"strip",      "lstrip",   "rstrip", "split", "rsplit",  "splitlines",
                                     "startswith", "endswith", "upper",  "lower", "replace", "title",
                                     "capitalize", "find",     "count",  "join"};
constexpr std::array kDictMethods = {"items", "keys", "values", "get"};

Value split_method(const Text& text, const std::string& name, const Values& arguments, Budget& budget) {
  budget.spend_bytes(text.bytes.size());
  const Value* separator = arguments.find(0, "sep");
  const std::int64_t most = whole_argument(arguments, 1, "maxsplit", -1);
  if (separator == nullptr || separator->as<None>() != nullptr) {
    return text_list(split(text, {}, most, name == "rsplit", budget));
  }
  const std::string& bytes = name == "rsplit" ? short_text(*separator, name) : text_of(*separator, name).bytes;
  if (bytes.empty()) {
    fail(message(name, " with an empty separator"));
  }
  return text_list(split(text, bytes, most, name == "rsplit", budget));
}

Value splitlines(const Text& text, Budget& budget) {
  budget.spend_bytes(text.bytes.size());
  std::vector<Text> lines = split(text, "\n", -1, false, budget);
  if (!lines.empty() && lines.back().bytes.empty()) {
    lines.pop_back();
  }
  return text_list(std::move(lines));
}

std::int64_t count_of(std::string_view bytes, std::string_view wanted) {
  if (wanted.empty()) {
    return static_cast<std::int64_t>(count_code_points(bytes) + 1);
  }
  std::int64_t found = 0;
  for (std::size_t at = 0; (at = find_bytes(bytes, wanted, at)) != std::string_view::npos; at += wanted.size()) {
    ++found;
  }
  return found;
}

/// Code points before the first `wanted`; -1 where there is none.
std::int64_t place_of(std::string_view bytes, std::string_view wanted) {
  const std::size_t found = find_bytes(bytes, wanted, 0);
  return found == std::string_view::npos ? -1 : static_cast<std::int64_t>(count_code_points(bytes.substr(0, found)));
}

Value text_method(const Value& self, const std::string& name, const Values& arguments, Budget& budget) {
  const Text& text = *self.as<Text>();
  if (name == "strip" || name == "lstrip" || name == "rstrip") {
    budget.spend_bytes(text.bytes.size());
    return strip(text, set_argument(arguments), name != "rstrip", name != "lstrip");
  }
  if (name == "split" || name == "rsplit") {
    return split_method(text, name, arguments, budget);
  }
  if (name == "splitlines") {
    return splitlines(text, budget);
  }
  if (name == "startswith" || name == "endswith") {
    const Value* affix = arguments.find(0, "prefix");
    if (affix == nullptr) {
      fail(message(name, " wants an argument"));
    }
    return any_affix(text, *affix, name == "startswith", budget);
  }
  if (name == "find" || name == "count") {
    const std::string& wanted = text_argument(arguments, 0, "sub", name).bytes;
    budget.spend_bytes(text.bytes.size() + wanted.size());
    return name == "count" ? count_of(text.bytes, wanted) : place_of(text.bytes, wanted);
  }
  if (name == "join") {
    if (arguments.positional.empty()) {
      fail("join wants a list");
    }
    return join(arguments.positional.front(), {.positional = {self}, .named = {}}, budget);
  }
  return apply_filter(name, self, arguments, budget);  // upper, lower, title, capitalize, replace
}

/// What a template asks for may be a text of megabytes: a message needs its beginning.
Value undefined(std::string_view name) {
  return Undefined{std::string(name.substr(0, byte_of_code_point(name, kMaxNameBytes)))};
}

Value dict_method(const Dict& dict, const std::string& name, const Values& arguments) {
  if (name == "items") {
    return pairs_of(dict);
  }
  if (name == "get") {
    const Value* found = dict->find(text_argument(arguments, 0, "key", "get").bytes);
    const Value* fallback = arguments.find(1, "default");
    return found != nullptr ? *found : fallback != nullptr ? *fallback : Value(None{});
  }
  std::vector<Value> found;
  for (const auto& [key, held] : dict->items) {
    found.push_back(name == "keys" ? Value(Text::ours(key)) : held);
  }
  return Value::list(std::move(found));
}

}  // namespace

const Value* Values::find(std::size_t index, std::string_view name) const {
  if (index < positional.size()) {
    return &positional[index];
  }
  for (const auto& [key, value] : named) {
    if (key == name) {
      return &value;
    }
  }
  return nullptr;
}

bool is_known_filter(std::string_view name) { return find_named(kFilters, name) != nullptr; }
bool is_known_test(std::string_view name) { return find_named(kTests, name) != nullptr; }

Value apply_filter(const std::string& name, const Value& value, const Values& arguments, Budget& budget) {
  const NamedFilter* filter = find_named(kFilters, name);
  if (filter == nullptr) {
    refuse("filter", name);
  }
  budget.spend(arguments.positional.size() + arguments.named.size());  // select and map copy them
  Value made = filter->apply(value, arguments, budget);
  pay_for(made, budget);
  return made;
}

bool apply_test(const std::string& name, const Value& value, const Values& arguments, Budget& budget) {
  const NamedTest* test = find_named(kTests, name);
  if (test == nullptr) {
    refuse("test", name);
  }
  return test->holds(value, arguments, budget);
}

bool has_method(const Value& self, std::string_view name) {
  const auto among = [&](const auto& names) { return std::find(names.begin(), names.end(), name) != names.end(); };
  return (self.as<Text>() != nullptr && among(kTextMethods)) || (self.as<Dict>() != nullptr && among(kDictMethods));
}

Value call_method(const Value& self, const std::string& name, const Values& arguments, Budget& budget) {
  if (self.as<Text>() != nullptr) {
    return text_method(self, name, arguments, budget);
  }
  if (const auto* dict = self.as<Dict>()) {
    return dict_method(*dict, name, arguments);
  }
  refuse("method", name);
}

bool is_known_function(std::string_view name) {
  return name == "range" || name == "raise_exception" || name == "strftime_now" || name == "namespace" ||
         name == "dict";
}

Value call_function(const std::string& name, const Values& arguments, Budget& budget) {
  if (name == "range") {
    return range(arguments);
  }
  if (name == "raise_exception") {
    throw Error(ErrorCode::kInvalidArgument,
                arguments.positional.empty()
                    ? "the chat template refuses these messages"
                    : code_points(to_text(arguments.positional.front(), budget), 0, kMaxMessage).bytes,
                "messages");
  }
  if (name == "strftime_now") {
    return strftime_now(arguments);
  }
  auto entries = std::make_shared<Entries>();
  if (!arguments.positional.empty()) {
    const auto* given = arguments.positional.front().as<Dict>();
    if (given == nullptr) {
      fail(message(name, " wants a dict or named arguments"));
    }
    *entries = **given;
  }
  entries->is_namespace = name == "namespace";
  for (const auto& [key, value] : arguments.named) {
    entries->set(key, value);
  }
  return entries;
}

Value member(const Value& value, const std::string& name) {
  if (const auto* dict = value.as<Dict>()) {
    const Value* found = (*dict)->find(name);
    return found != nullptr ? *found : undefined(name);
  }
  if (const auto* missing = value.as<Undefined>()) {
    fail(message("'", missing->name, "' is undefined, so it has no '", undefined(name).as<Undefined>()->name, "'"));
  }
  return undefined(name);
}

std::vector<Value> items_of(const Value& value, Budget& budget) {
  if (const auto* list = value.as<List>()) {
    budget.spend((*list)->size());
    return **list;
  }
  std::vector<Value> items;
  if (const auto* dict = value.as<Dict>()) {
    budget.spend((*dict)->items.size());
    for (const auto& [key, held] : (*dict)->items) {
      items.emplace_back(Text::ours(key));
    }
  } else if (const auto* text = value.as<Text>()) {
    for (std::size_t at = 0; at < text->bytes.size();) {
      budget.spend(1);
      std::size_t end = at + 1;
      while (end < text->bytes.size() && (static_cast<unsigned char>(text->bytes[end]) & 0xC0) == 0x80) {
        ++end;
      }
      items.emplace_back(text->slice(at, end));
      at = end;
    }
  } else if (value.as<Undefined>() == nullptr) {
    fail(message("cannot loop over ", type_name(value)));
  }
  return items;
}

bool contains(const Value& container, const Value& item, Budget& budget) {
  if (const auto* text = container.as<Text>()) {
    budget.spend_bytes(text->bytes.size());
    return find_bytes(text->bytes, text_of(item, "in").bytes, 0) != std::string_view::npos;
  }
  if (const auto* dict = container.as<Dict>()) {
    const auto* key = item.as<Text>();
    return key != nullptr && (*dict)->find(key->bytes) != nullptr;
  }
  if (const auto* list = container.as<List>()) {
    return std::any_of((*list)->begin(), (*list)->end(), [&](const Value& held) { return equal(held, item, budget); });
  }
  if (container.as<Undefined>() != nullptr) {
    return false;
  }
  fail(message("'in' wants a list, a dict or a string, not ", type_name(container)));
}

}  // namespace refrag::jinja

#include "text/jinja_value.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/message.h"
#include "base/utf8.h"

namespace refrag::jinja {
namespace {

std::string number_text(double number) {
  if (number == std::floor(number) && std::abs(number) < 1e16) {
    char text[64];
    std::snprintf(text, sizeof text, "%.1f", number);
    return text;
  }
  return nlohmann::json(number).dump();  // the shortest form that reads back, as Python's repr
}

/// A byte inside quotes: Python's repr where they are single, JSON where they are double.
std::string escaped(char byte, char quote) {
  switch (byte) {
    case '\n':
      return "\\n";
    case '\t':
      return "\\t";
    case '\r':
      return "\\r";
    case '\\':
      return "\\\\";
    default:
      break;
  }
  if (byte == quote) {
    return std::string("\\") + quote;
  }
  if (quote == '"' && static_cast<unsigned char>(byte) < 0x20) {
    if (byte == '\b' || byte == '\f') {
      return byte == '\b' ? "\\b" : "\\f";
    }
    char code[8];
    std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(byte)));
    return code;
  }
  return std::string(1, byte);
}

void add_ours(Text& out, std::string_view text) { out.add(text, Text::kOurs); }

bool needs_escape(char byte, char quote) {
  return byte == quote || byte == '\\' || static_cast<unsigned char>(byte) < 0x20;
}

void add_quoted(Text& out, const Text& text, char quote) {
  add_ours(out, {&quote, 1});
  std::size_t done = 0;
  for (std::size_t n = 0; n < text.bytes.size(); ++n) {
    if (needs_escape(text.bytes[n], quote)) {
      out.add(text, done, n);
      out.add(escaped(text.bytes[n], quote), text.marks[n]);
      done = n + 1;
    }
  }
  out.add(text, done, text.bytes.size());
  add_ours(out, {&quote, 1});
}

/// repr(value): what str gives inside lists and dicts.
void add_repr(Text& out, const Value& value) {
  if (const auto* text = value.as<Text>()) {
    const bool single = text->bytes.find('\'') == std::string::npos || text->bytes.find('"') != std::string::npos;
    add_quoted(out, *text, single ? '\'' : '"');
  } else {
    add_text(out, value);
  }
}

std::size_t next_code_point(std::string_view bytes, std::size_t at) {
  ++at;
  while (at < bytes.size() && (static_cast<unsigned char>(bytes[at]) & 0xC0) == 0x80) {
    ++at;
  }
  return at;
}

UChar32 code_point_at(std::string_view bytes, std::size_t at) {
  UChar32 code = 0;
  auto n = static_cast<std::int32_t>(at);
  U8_NEXT_OR_FFFD(bytes.data(), n, static_cast<std::int32_t>(bytes.size()), code);
  return code;
}

/// What Python's str.isspace says.
bool is_space(UChar32 code) { return u_isUWhiteSpace(code) != 0 || (code >= 0x1C && code <= 0x1F); }

bool in_set(std::string_view character, UChar32 code, std::string_view set) {
  return set.empty() ? is_space(code) : set.find(character) != std::string_view::npos;
}

void append_code_point(Text& out, UChar32 code, char mark) {
  char bytes[4];
  std::int32_t size = 0;
  UBool failed = 0;
  U8_APPEND(bytes, size, 4, code, failed);
  if (failed == 0) {
    out.add({bytes, static_cast<std::size_t>(size)}, mark);
  }
}

std::vector<Text> split_at_spaces(const Text& text, std::int64_t most, Budget& budget) {
  std::vector<Text> parts;
  std::size_t at = 0;
  const std::size_t size = text.bytes.size();
  while (true) {
    while (at < size && is_space(code_point_at(text.bytes, at))) {
      at = next_code_point(text.bytes, at);
    }
    if (at >= size) {
      return parts;
    }
    budget.spend(1);
    if (most >= 0 && static_cast<std::int64_t>(parts.size()) == most) {
      parts.push_back(strip(text.slice(at, size), {}, false, true));
      return parts;
    }
    const std::size_t begin = at;
    while (at < size && !is_space(code_point_at(text.bytes, at))) {
      at = next_code_point(text.bytes, at);
    }
    parts.push_back(text.slice(begin, at));
  }
}

class JsonWriter {
 public:
  explicit JsonWriter(int indent) : indent_(indent) {}

  Text write(const Value& value) {
    add(value, 0);
    return std::move(out_);
  }

 private:
  void line_break(int depth) {
    if (indent_ >= 0) {
      add_ours(out_, "\n" + std::string(static_cast<std::size_t>(depth * indent_), ' '));
    }
  }

  void separate(bool first, int depth) {
    if (!first) {
      add_ours(out_, indent_ >= 0 ? "," : ", ");
    }
    line_break(depth);
  }

  void add(const Value& value, int depth) {
    if (const auto* text = value.as<Text>()) {
      add_quoted(out_, *text, '"');
    } else if (const auto* list = value.as<List>()) {
      add_ours(out_, "[");
      for (std::size_t n = 0; n < (*list)->size(); ++n) {
        separate(n == 0, depth + 1);
        add((**list)[n], depth + 1);
      }
      close(!(*list)->empty(), depth, "]");
    } else if (const auto* dict = value.as<Dict>()) {
      add_ours(out_, "{");
      bool first = true;
      for (const auto& [key, held] : (*dict)->items) {
        separate(first, depth + 1);
        first = false;
        add_quoted(out_, Text::ours(key), '"');
        add_ours(out_, ": ");
        add(held, depth + 1);
      }
      close(!first, depth, "}");
    } else if (const auto* flag = value.as<bool>()) {
      add_ours(out_, *flag ? "true" : "false");
    } else if (value.as<None>() != nullptr || value.as<Undefined>() != nullptr) {
      add_ours(out_, "null");
    } else {
      add_text(out_, value);
    }
  }

  void close(bool has_items, int depth, std::string_view bracket) {
    if (has_items) {
      line_break(depth);
    }
    add_ours(out_, bracket);
  }

  int indent_;
  Text out_;
};

/// How deep a list, dict or namespace is that holds `held`.
int depth_around(const Value& held) {
  const auto* method = held.as<Callable>();
  const Value& kept = method != nullptr && method->self ? *method->self : held;
  const auto* list = kept.as<List>();
  const auto* dict = kept.as<Dict>();
  if (dict != nullptr && (*dict)->is_namespace) {
    fail("a namespace cannot be part of a list, a dict or a namespace");
  }
  const int depth = 1 + (list != nullptr ? list->depth() : dict != nullptr ? (*dict)->depth : 0);
  if (depth > kMaxValueDepth) {
    fail(message("lists and dicts are nested more than ", kMaxValueDepth, " deep"));
  }
  return depth;
}

}  // namespace

void Text::fail_of_length() { fail(message("a string is longer than ", kMaxTextBytes, " bytes")); }

List::List(std::vector<Value> items) : items_(std::make_shared<const std::vector<Value>>(std::move(items))) {
  for (const Value& item : *items_) {
    depth_ = std::max(depth_, depth_around(item));
  }
}

const Value* Entries::find(std::string_view key) const {
  for (const auto& [name, value] : items) {
    if (name == key) {
      return &value;
    }
  }
  return nullptr;
}

void Entries::set(const std::string& key, Value value) {
  depth = std::max(depth, depth_around(value));
  for (auto& [name, held] : items) {
    if (name == key) {
      held = std::move(value);
      return;
    }
  }
  if (items.size() == kMaxDictKeys || key.size() > kMaxNameBytes) {
    fail(message("a dict has more than ", kMaxDictKeys, " keys or one of more than ", kMaxNameBytes, " bytes"));
  }
  items.emplace_back(key, std::move(value));
}

Value::Value(Text text) {
  text.bytes.shrink_to_fit();  // its length is what was paid for
  text.marks.shrink_to_fit();
  emplace<SharedText>(std::make_shared<const Text>(std::move(text)));
}

Value Value::list(std::vector<Value> items) { return List(std::move(items)); }

Value Value::dict(std::vector<std::pair<std::string, Value>> items) {
  auto entries = std::make_shared<Entries>();
  for (auto& item : items) {
    entries->set(item.first, std::move(item.second));
  }
  return entries;
}

bool truth(const Value& value) {
  if (const auto* flag = value.as<bool>()) {
    return *flag;
  }
  if (const auto* whole = value.as<std::int64_t>()) {
    return *whole != 0;
  }
  if (const auto* number = value.as<double>()) {
    return *number != 0;
  }
  if (const auto* text = value.as<Text>()) {
    return !text->bytes.empty();
  }
  if (const auto* list = value.as<List>()) {
    return !(*list)->empty();
  }
  if (const auto* dict = value.as<Dict>()) {
    return (*dict)->is_namespace || !(*dict)->items.empty();
  }
  return value.as<Callable>() != nullptr;
}

namespace {

bool as_number(const Value& value, double& number) {
  if (const auto* flag = value.as<bool>()) {
    number = *flag ? 1 : 0;
  } else if (const auto* whole = value.as<std::int64_t>()) {
    number = static_cast<double>(*whole);
  } else if (const auto* real = value.as<double>()) {
    number = *real;
  } else {
    return false;
  }
  return true;
}

}  // namespace

bool equal(const Value& left, const Value& right, Budget& budget) {
  budget.spend(1);
  double a = 0;
  double b = 0;
  if (as_number(left, a) && as_number(right, b)) {
    return a == b;
  }
  if (left.index() != right.index()) {
    return false;
  }
  if (const auto* text = left.as<Text>()) {
    const std::string& other = right.as<Text>()->bytes;
    budget.spend_bytes(std::min(text->bytes.size(), other.size()));
    return text->bytes == other;
  }
  if (const auto* list = left.as<List>()) {
    const List& other = *right.as<List>();
    return std::equal((*list)->begin(), (*list)->end(), other->begin(), other->end(),
                      [&](const Value& x, const Value& y) { return equal(x, y, budget); });
  }
  if (const auto* dict = left.as<Dict>()) {
    const Entries& other = **right.as<Dict>();
    return (*dict)->items.size() == other.items.size() &&
           std::all_of((*dict)->items.begin(), (*dict)->items.end(), [&](const auto& item) {
             const Value* held = other.find(item.first);
             return held != nullptr && equal(item.second, *held, budget);
           });
  }
  return left.as<Callable>() == nullptr;  // none equals none, undefined equals undefined
}

const char* type_name(const Value& value) {
  constexpr const char* kNames[] = {"undefined", "none", "bool", "int", "float", "str", "list", "dict", "function"};
  return kNames[value.index()];
}

Text to_text(const Value& value, Budget& budget) {
  Text out;
  add_text(out, value);
  budget.spend_bytes(out.bytes.size());
  return out;
}

void add_text(Text& out, const Value& value) {
  if (const auto* text = value.as<Text>()) {
    out.add(*text);
  } else if (value.as<None>() != nullptr) {
    add_ours(out, "None");
  } else if (const auto* flag = value.as<bool>()) {
    add_ours(out, *flag ? "True" : "False");
  } else if (const auto* whole = value.as<std::int64_t>()) {
    add_ours(out, std::to_string(*whole));
  } else if (const auto* number = value.as<double>()) {
    add_ours(out, number_text(*number));
  } else if (const auto* list = value.as<List>()) {
    add_ours(out, "[");
    for (std::size_t n = 0; n < (*list)->size(); ++n) {
      add_ours(out, n == 0 ? "" : ", ");
      add_repr(out, (**list)[n]);
    }
    add_ours(out, "]");
  } else if (const auto* dict = value.as<Dict>()) {
    add_ours(out, "{");
    for (std::size_t n = 0; n < (*dict)->items.size(); ++n) {
      const auto& [key, held] = (*dict)->items[n];
      add_ours(out, n == 0 ? "" : ", ");
      add_quoted(out, Text::ours(key), '\'');
      add_ours(out, ": ");
      add_repr(out, held);
    }
    add_ours(out, "}");
  }
}

Text to_json_text(const Value& value, int indent) { return JsonWriter(indent).write(value); }

void pay_for(const Value& value, Budget& budget) {
  if (const auto* text = value.as<Text>()) {
    budget.spend_bytes(text->bytes.size());
  } else if (const auto* list = value.as<List>()) {
    budget.spend((*list)->size());
  } else if (const auto* dict = value.as<Dict>()) {
    budget.spend((*dict)->items.size());
  }
}

std::size_t length(const Text& text) { return count_code_points(text.bytes); }

Text code_points(const Text& text, std::size_t begin, std::size_t end) {
  return text.slice(byte_of_code_point(text.bytes, begin), byte_of_code_point(text.bytes, std::max(begin, end)));
}

Text change_case(const Text& text, LetterCase to) {
  Text out;
  bool inside_word = false;
  for (std::size_t at = 0; at < text.bytes.size(); at = next_code_point(text.bytes, at)) {
    const UChar32 code = code_point_at(text.bytes, at);
    const bool upper =
        to == LetterCase::kUpper || ((to == LetterCase::kTitle || to == LetterCase::kCapitalize) && !inside_word);
    append_code_point(out, upper ? u_toupper(code) : u_tolower(code), text.marks[at]);
    inside_word = to == LetterCase::kCapitalize || u_isalpha(code) != 0;
  }
  return out;
}

Text strip(const Text& text, std::string_view set, bool left, bool right) {
  std::size_t begin = 0;
  std::size_t end = text.bytes.size();
  const std::string_view bytes = text.bytes;
  while (left && begin < end) {
    const std::size_t next = next_code_point(bytes, begin);
    if (!in_set(bytes.substr(begin, next - begin), code_point_at(bytes, begin), set)) {
      break;
    }
    begin = next;
  }
  while (right && end > begin) {
    std::size_t last = end - 1;
    while (last > begin && (static_cast<unsigned char>(bytes[last]) & 0xC0) == 0x80) {
      --last;
    }
    if (!in_set(bytes.substr(last, end - last), code_point_at(bytes, last), set)) {
      break;
    }
    end = last;
  }
  return text.slice(begin, end);
}

Text replace_all(const Text& text, const Text& from, const Text& to, std::int64_t most) {
  if (from.bytes.empty()) {
    return text;
  }
  Text out;
  std::size_t at = 0;
  for (std::int64_t done = 0; most < 0 || done < most; ++done) {
    const std::size_t found = find_bytes(text.bytes, from.bytes, at);
    if (found == std::string::npos) {
      break;
    }
    out.add(text, at, found);
    out.add(to);
    at = found + from.bytes.size();
  }
  out.add(text, at, text.bytes.size());
  return out;
}

std::size_t find_bytes(std::string_view bytes, std::string_view wanted, std::size_t from) {
  constexpr std::size_t kShort = 16;  // find compares this much at every place, memmem prepares itself at every call
  if (wanted.size() <= kShort || from > bytes.size()) {
    return bytes.find(wanted, from);
  }
  const void* found = memmem(bytes.data() + from, bytes.size() - from, wanted.data(), wanted.size());
  return found == nullptr ? std::string_view::npos
                          : static_cast<std::size_t>(static_cast<const char*>(found) - bytes.data());
}

std::vector<Text> split(const Text& text, std::string_view separator, std::int64_t most, bool from_right,
                        Budget& budget) {
  if (separator.empty()) {
    return split_at_spaces(text, most, budget);
  }
  std::vector<Text> parts;
  if (from_right) {
    std::size_t end = text.bytes.size();
    while ((most < 0 || static_cast<std::int64_t>(parts.size()) < most) && end >= separator.size()) {
      const std::size_t found = text.bytes.rfind(separator, end - separator.size());
      if (found == std::string::npos) {
        break;
      }
      budget.spend(1);
      parts.push_back(text.slice(found + separator.size(), end));
      end = found;
    }
    parts.push_back(text.slice(0, end));
    std::reverse(parts.begin(), parts.end());
    return parts;
  }
  std::size_t at = 0;
  while (most < 0 || static_cast<std::int64_t>(parts.size()) < most) {
    const std::size_t found = find_bytes(text.bytes, separator, at);
    if (found == std::string::npos) {
      break;
    }
    budget.spend(1);
    parts.push_back(text.slice(at, found));
    at = found + separator.size();
  }
  parts.push_back(text.slice(at, text.bytes.size()));
  return parts;
}

}  // namespace refrag::jinja

#include "base/json_reader.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>

#include "base/files.h"
#include "base/message.h"
#include "base/utf8.h"

namespace refrag {
namespace {

constexpr std::size_t kMaxDepth = 64;

/// Walks over the text and tells from outside how far the parser has come.
class TrackedIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  TrackedIterator(const char* at, const char** reached) : at_(at), reached_(reached) {}
  reference operator*() const { return *at_; }
  TrackedIterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }
  TrackedIterator operator++(int) {
    TrackedIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const TrackedIterator& other) const { return at_ == other.at_; }
  bool operator!=(const TrackedIterator& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  const char** reached_;
};

/// Builds a value from the parser's events; its own checks are what nlohmann's builder leaves out: depth and
/// duplicates. Returning false stops the parser; `problem` then says why.
class JsonBuilder {
 public:
  Json result;
  std::string problem;

  bool null() { return put(nullptr); }
  bool boolean(bool value) { return put(value); }
  bool number_integer(std::int64_t value) { return put(value); }
  bool number_unsigned(std::uint64_t value) { return put(value); }
  bool number_float(double value, const std::string&) { return put(value); }
  bool string(std::string& value) { return put(std::move(value)); }
  bool binary(Json::binary_t&) { return false; }
  bool start_object(std::size_t) { return open(Json::object()); }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    const auto [entry, is_new] = open_.back()->get_ref<Json::object_t&>().emplace(name, nullptr);
    slot_ = &entry->second;
    if (!is_new) {
      problem = message("the field \"", name, "\" stands twice in one object");
    }
    return is_new;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    problem = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ...": the place is ours to tell.
    for (const std::string_view before : {"] ", "column ", ": "}) {
      const std::size_t found = problem.find(before);
      if (found != std::string::npos) {
        problem.erase(0, found + before.size());
      }
    }
    return false;
  }

 private:
  template <typename Value>
  bool put(Value&& value) {
    place(std::forward<Value>(value));
    return true;
  }

  bool open(Json container) {
    if (open_.size() == kMaxDepth) {
      problem = message("nested deeper than ", kMaxDepth, " levels");
      return false;
    }
    open_.push_back(place(std::move(container)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  Json* place(Json value) {
    if (open_.empty()) {
      result = std::move(value);
      return &result;
    }
    if (open_.back()->is_array()) {
      open_.back()->push_back(std::move(value));
      return &open_.back()->back();
    }
    *slot_ = std::move(value);
    return slot_;
  }

  std::vector<Json*> open_;  // the containers around the place that was reached
  Json* slot_ = nullptr;     // where the value of the last key goes
};

/// At most `most` bytes of `text`, its middle left out: error messages quote input of any size.
std::string shortened(const std::string& text, std::size_t most) {
  if (text.size() <= most) {
    return to_valid_utf8(text);
  }
  const std::string head = text.substr(0, most / 2);
  const std::string tail = text.substr(text.size() - most / 2);
  const std::size_t whole = tail.find_first_of(" ',");  // begin the tail at a border rather than inside a character
  return to_valid_utf8(head.substr(0, head.size() - incomplete_tail(head)) + " ... " +
                       tail.substr(whole == std::string::npos ? 0 : whole));
}

Json parse(std::string_view text, const std::string& what, ErrorCode code) {
  const char* reached = text.data();
  JsonBuilder builder;
  const TrackedIterator begin(text.data(), &reached);
  const TrackedIterator end(text.data() + text.size(), &reached);
  if (Json::sax_parse(begin, end, &builder)) {
    return std::move(builder.result);
  }
  const std::string_view before = text.substr(0, static_cast<std::size_t>(reached - text.data()));
  const std::size_t line = 1 + static_cast<std::size_t>(std::count(before.begin(), before.end(), '\n'));
  const std::size_t column = before.size() - (before.rfind('\n') + 1);  // npos + 1 is 0
  throw Error(code, message(what, " is not valid JSON: line ", line, ", column ", column, ": ",
                            shortened(builder.problem, 300)));
}

const Json& null_json() {
  static const Json null;
  return null;
}

const Json& empty_object() {
  static const Json empty = Json::object();
  return empty;
}

/// What was found, short enough for a message.
std::string described(const Json& value) {
  constexpr std::size_t kMost = 60;
  if (value.is_object()) {
    return "an object";
  }
  if (value.is_array()) {
    return message("an array of ", value.size());
  }
  if (value.is_string()) {
    return Json(shortened(value.get_ref<const std::string&>(), kMost)).dump();
  }
  return value.dump();
}

template <typename T>
std::string expected_range(const char* kind, T least, T most) {
  const bool open_below = least == std::numeric_limits<T>::lowest();
  const bool open_above =
      most == std::numeric_limits<T>::max() || (std::is_floating_point_v<T> && std::isinf(static_cast<double>(most)));
  if (open_below && open_above) {
    return kind;
  }
  if (open_above) {
    return message(kind, ", ", least, " or more");
  }
  if (open_below) {
    return message(kind, ", ", most, " or less");
  }
  return message(kind, ", ", least, " to ", most);
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : ", ") + word;
  }
  return text;
}

}  // namespace

Json parse_json(std::string_view text, const std::string& what) {
  return parse(text, what, ErrorCode::kInvalidArgument);
}

Json parse_json_file(const std::filesystem::path& path) {
  return parse(read_file(path), path.string(), ErrorCode::kCorrupt);
}

JsonReader::JsonReader(const Json& value, std::string path, ErrorCode code)
    : value_(&value), path_(std::move(path)), code_(code) {
  if (!value.is_object()) {
    throw Error(code_,
                message(path_.empty() ? "the JSON value" : path_, path_.ends_with(": ") ? "the content" : "", " is ",
                        described(value), "; expected an object"),
                path_);
  }
}

bool JsonReader::has(const std::string& name) const {
  const auto found = value_->find(name);
  return found != value_->end() && !found->is_null();
}

std::string JsonReader::text(const std::string& name) {
  const Json& found = value(name);
  if (!found.is_string()) {
    fail(name, "a string");
  }
  return found.get<std::string>();
}

std::string JsonReader::text(const std::string& name, std::string fallback) {
  ignore(name);
  return has(name) ? text(name) : std::move(fallback);
}

bool JsonReader::boolean(const std::string& name, bool fallback) {
  const Json& found = value(name);
  if (found.is_null()) {
    return fallback;
  }
  if (!found.is_boolean()) {
    fail(name, "true or false");
  }
  return found.get<bool>();
}

std::int64_t JsonReader::integer(const std::string& name, std::int64_t least, std::int64_t most) {
  const Json& found = value(name);
  const bool fits =
      found.is_number_unsigned()
          ? found.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())
          : found.is_number_integer();
  if (!fits || found.get<std::int64_t>() < least || found.get<std::int64_t>() > most) {
    fail(name, expected_range("an integer", least, most));
  }
  return found.get<std::int64_t>();
}

std::int64_t JsonReader::integer(const std::string& name, std::int64_t fallback, std::int64_t least,
                                 std::int64_t most) {
  ignore(name);
  return has(name) ? integer(name, least, most) : fallback;
}

double JsonReader::number(const std::string& name, double least, double most) {
  const Json& found = value(name);
  const bool fits = found.is_number() && std::isfinite(found.get<double>()) && found.get<double>() >= least &&
                    found.get<double>() <= most;
  if (!fits) {
    fail(name, expected_range("a number", least, most));
  }
  return found.get<double>();
}

double JsonReader::number(const std::string& name, double fallback, double least, double most) {
  ignore(name);
  return has(name) ? number(name, least, most) : fallback;
}

std::vector<std::string> JsonReader::texts(const std::string& name) {
  const Json& found = value(name);
  std::vector<std::string> texts;
  if (found.is_null()) {
    return texts;
  }
  if (!found.is_array()) {
    fail(name, "an array of strings");
  }
  for (const Json& element : found) {
    if (!element.is_string()) {
      const std::string path = message(path_of(name), '[', texts.size(), ']');
      throw Error(code_, message(path, " is ", described(element), "; expected a string"), path);
    }
    texts.push_back(element.get<std::string>());
  }
  return texts;
}

std::size_t JsonReader::one_of(const std::string& name, std::initializer_list<std::string_view> words,
                               std::size_t fallback) {
  const Json& found = value(name);
  if (found.is_null()) {
    return fallback;
  }
  const auto* word =
      found.is_string() ? std::find(words.begin(), words.end(), found.get_ref<const std::string&>()) : words.end();
  if (word == words.end()) {
    fail(name, "one of " + joined({words.begin(), words.end()}));
  }
  return static_cast<std::size_t>(word - words.begin());
}

JsonReader JsonReader::object(const std::string& name) {
  const Json& found = value(name);
  return {found.is_null() ? empty_object() : found, path_of(name), code_};
}

std::vector<JsonReader> JsonReader::objects(const std::string& name) {
  const Json& found = value(name);
  std::vector<JsonReader> readers;
  if (found.is_null()) {
    return readers;
  }
  if (!found.is_array()) {
    fail(name, "an array of objects");
  }
  for (const Json& element : found) {
    readers.emplace_back(element, message(path_of(name), '[', readers.size(), ']'), code_);
  }
  return readers;
}

const Json& JsonReader::value(const std::string& name) {
  known_.insert(name);
  const auto found = value_->find(name);
  return found == value_->end() ? null_json() : *found;
}

void JsonReader::ignore(const std::string& name) { known_.insert(name); }

void JsonReader::finish() const {
  for (const auto& [name, unused] : value_->items()) {
    if (!known_.contains(name)) {
      const std::string path = path_of(name);
      throw Error(
          code_, message("unknown field ", shortened(path, 100), "; expected ", joined({known_.begin(), known_.end()})),
          path);
    }
  }
}

std::string JsonReader::path_of(const std::string& name) const {
  const bool needs_dot = !path_.empty() && !path_.ends_with(": ");
  return path_ + (needs_dot ? "." : "") + name;
}

void JsonReader::fail(const std::string& name, const std::string& expected) const {
  const auto found = value_->find(name);
  const std::string path = path_of(name);
  throw Error(code_,
              message(path, " is ", found == value_->end() ? "missing" : described(*found), "; expected ", expected),
              path);
}

}  // namespace refrag

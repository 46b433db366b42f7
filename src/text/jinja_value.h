#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja_budget.h"

namespace refrag::jinja {

struct Macro;
class Value;

/// Text whose every byte knows whether a user wrote it. Operations keep the marks.
struct Text {
  std::string bytes;
  std::string marks;  // as long as bytes: kOurs or kUsers

  static constexpr char kOurs = 't';
  static constexpr char kUsers = 'u';
  static Text ours(std::string_view bytes) { return {std::string(bytes), std::string(bytes.size(), kOurs)}; }
  static Text users(std::string_view bytes) { return {std::string(bytes), std::string(bytes.size(), kUsers)}; }
  // These fail above kMaxTextBytes.
  void add(const Text& other) { add(other, 0, other.bytes.size()); }
  void add(const Text& other, std::size_t begin, std::size_t end) {
    require_room(end - begin);
    bytes.append(other.bytes, begin, end - begin);
    marks.append(other.marks, begin, end - begin);
  }
  void add(std::string_view more, char mark) {
    require_room(more.size());
    bytes += more;
    marks.append(more.size(), mark);
  }
  void require_room(std::size_t more) const {
    if (more > kMaxTextBytes - std::min(kMaxTextBytes, bytes.size())) {
      fail_of_length();
    }
  }
  [[noreturn]] static void fail_of_length();
  Text slice(std::size_t begin, std::size_t end) const {
    return {bytes.substr(begin, end - begin), marks.substr(begin, end - begin)};
  }
};

struct Undefined {
  std::string name;  // for messages
};
struct None {};
/// Items that never change.
class List {
 public:
  explicit List(std::vector<Value> items);
  const std::vector<Value>& operator*() const { return *items_; }
  const std::vector<Value>* operator->() const { return items_.get(); }
  int depth() const { return depth_; }

 private:
  std::shared_ptr<const std::vector<Value>> items_;
  int depth_ = 1;
};
/// In the order of insertion, as Python's dict.
struct Entries {
  std::vector<std::pair<std::string, Value>> items;
  bool is_namespace = false;  // the only dicts that a template may change
  int depth = 1;
  const Value* find(std::string_view key) const;
  void set(const std::string& key, Value value);  // fails above kMaxDictKeys
};
using Dict = std::shared_ptr<Entries>;
/// A function of ours by name ("range"), or a method bound to the value it was taken from.
struct Callable {
  std::string name;
  std::shared_ptr<Value> self;  // null for functions
  std::shared_ptr<const Macro> macro;
};

using SharedText = std::shared_ptr<const Text>;

/// A value of the template language: Python's, as far as templates need them. Copies share texts, lists and dicts, so
/// they cost nothing. Values are nested kMaxValueDepth deep at most and hold no namespace, hence no cycle: whatever
/// walks them, their destructor included, may recurse.
class Value : public std::variant<Undefined, None, bool, std::int64_t, double, SharedText, List, Dict, Callable> {
 public:
  using variant::variant;
  Value(Text text);
  template <typename T>
  const T* as() const {
    if constexpr (std::is_same_v<T, Text>) {
      const auto* shared = as<SharedText>();
      return shared != nullptr ? shared->get() : nullptr;
    } else {
      return std::get_if<T>(static_cast<const variant*>(this));
    }
  }
  static Value list(std::vector<Value> items);
  static Value dict(std::vector<std::pair<std::string, Value>> items);
};

bool truth(const Value& value);
bool equal(const Value& left, const Value& right, Budget& budget);
/// Python's type name, for messages.
const char* type_name(const Value& value);
/// str(value).
Text to_text(const Value& value, Budget& budget);
/// Appends str(value). The caller pays.
void add_text(Text& out, const Value& value);
/// json.dumps(value, ensure_ascii=False, indent=indent); indent < 0: one line. The caller pays.
Text to_json_text(const Value& value, int indent);
/// Takes what it cost to make `value`, so that neither memory nor time is free.
void pay_for(const Value& value, Budget& budget);

// Strings by code points, marks kept.
std::size_t length(const Text& text);
Text code_points(const Text& text, std::size_t begin, std::size_t end);
enum class LetterCase { kUpper, kLower, kTitle, kCapitalize };
Text change_case(const Text& text, LetterCase to);
/// Without characters of `set` (white space where empty) at the chosen ends.
Text strip(const Text& text, std::string_view set, bool left, bool right);
Text replace_all(const Text& text, const Text& from, const Text& to, std::int64_t most);
/// As std::string's find, in linear time.
std::size_t find_bytes(std::string_view bytes, std::string_view wanted, std::size_t from);
/// As Python's split: by white space where `separator` is empty. `most` < 0: no limit. Pays for the parts.
std::vector<Text> split(const Text& text, std::string_view separator, std::int64_t most, bool from_right,
                        Budget& budget);

}  // namespace refrag::jinja

#pragma once
#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "refrag/error.h"

namespace refrag {

using Json = nlohmann::json;

/// Text to JSON. Throws kInvalidArgument (kCorrupt for a file) that names `what`, the line and column, and what was
/// expected. Refuses nesting deeper than 64 and text that is not UTF-8.
Json parse_json(std::string_view text, const std::string& what);
Json parse_json_file(const std::filesystem::path& path);

/// Reads the fields of one JSON object strictly; null counts as absent: each getter checks the type and names the full
/// path of the field
/// ("retrieve.top_k is \"many\"; expected an integer, 0 to 256"); `finish` refuses fields nobody asked for.
/// Errors carry `code` (kInvalidArgument for requests and configs, kCorrupt for files we read) and the field as param.
class JsonReader {
 public:
  /// `value` outlives the reader. `path` goes before the names of fields: "retrieve" gives "retrieve.top_k"; one that
  /// ends with ": " ("model/config.json: ") stays as it is. Throws where `value` is no object.
  JsonReader(const Json& value, std::string path = {}, ErrorCode code = ErrorCode::kInvalidArgument);
  JsonReader(Json&&, std::string = {}, ErrorCode = ErrorCode::kInvalidArgument) = delete;

  bool has(const std::string& name) const;  // present and not null
  std::string text(const std::string& name);
  std::string text(const std::string& name, std::string fallback);
  bool boolean(const std::string& name, bool fallback);
  std::int64_t integer(const std::string& name, std::int64_t least, std::int64_t most);
  std::int64_t integer(const std::string& name, std::int64_t fallback, std::int64_t least, std::int64_t most);
  double number(const std::string& name, double least, double most);
  double number(const std::string& name, double fallback, double least, double most);
  std::vector<std::string> texts(const std::string& name);  // absent: empty
  /// The index of the word found among `words`; `fallback` where absent.
  std::size_t one_of(const std::string& name, std::initializer_list<std::string_view> words, std::size_t fallback);
  /// A nested object; an empty one where absent.
  JsonReader object(const std::string& name);
  /// The elements of an array; empty where absent. Element paths are "name[0]".
  std::vector<JsonReader> objects(const std::string& name);
  /// The value as it is, marked as read; null where absent.
  const Json& value(const std::string& name);
  /// Marks a field as known without reading it.
  void ignore(const std::string& name);
  /// Throws for the first field that was never asked for, naming it and the fields that are known.
  void finish() const;

  std::string path_of(const std::string& name) const;
  [[noreturn]] void fail(const std::string& name, const std::string& expected) const;
  const Json& json() const { return *value_; }

 private:
  const Json* value_;
  std::string path_;
  ErrorCode code_;
  std::set<std::string> known_;
};

}  // namespace refrag

#include <cmath>

#include "base/json_reader.h"
#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"
#include "text/reader.h"

namespace refrag {
namespace {

MetadataValue metadata_value(const Json& value, const std::string& path) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_boolean()) {
    return value.get<bool>();
  }
  const bool is_integer =
      value.is_number_integer() &&
      !(value.is_number_unsigned() &&
        value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  if (is_integer) {
    return value.get<std::int64_t>();
  }
  if (value.is_number() && std::isfinite(value.get<double>())) {
    return value.get<double>();
  }
  throw Error(ErrorCode::kInvalidArgument,
              message(path, " is ", value.type_name(), "; expected a string, a number, true or false"), path);
}

Metadata metadata_of(JsonReader fields) {
  Metadata metadata;
  for (const auto& [name, value] : fields.json().items()) {
    metadata.emplace(name, metadata_value(value, fields.path_of(name)));
  }
  return metadata;
}

// Fills `document` field by field, so that what was read before an error is kept.
void read_fields(std::string_view line, Document& document) {
  const Json json = parse_json(to_valid_utf8(line), "document");
  JsonReader fields(json);
  document.id = fields.text("id");
  document.title = fields.text("title", "");
  document.text = fields.text("text");
  document.metadata = metadata_of(fields.object("metadata"));
  fields.finish();
}

}  // namespace

Document read_json_document(std::string_view line) {
  Document document;
  read_fields(line, document);
  return document;
}

ReadResult try_read_json_document(std::string_view line, const std::string& where) {
  ReadResult result{.document = {}, .error = {}, .where = where};
  try {
    read_fields(line, result.document);
  } catch (const Error& error) {
    result.error = error.what();
  }
  return result;
}

}  // namespace refrag

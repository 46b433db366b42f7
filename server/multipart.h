#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace refrag::server {

/// One part of a multipart/form-data body. `content` points into the body.
struct FormPart {
  std::string name;
  std::string filename;      // empty for a plain field
  std::string content_type;  // empty where the part has none
  std::string_view content;
};

/// RFC 7578, in one pass over the whole body. (cpp-httplib's parser matches headers with std::regex, whose recursion a
/// long file name drives.) `content_type` is the request's header. Throws kInvalidArgument that says what is wrong.
std::vector<FormPart> parse_multipart(std::string_view content_type, std::string_view body);

}  // namespace refrag::server

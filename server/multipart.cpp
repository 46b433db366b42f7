#include "server/multipart.h"

#include <strings.h>

#include <algorithm>
#include <optional>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag::server {
namespace {

constexpr std::size_t kMaxBoundary = 70;  // RFC 2046
constexpr std::size_t kMaxParts = 1024;
constexpr std::size_t kMaxPartHead = 8 * 1024;

[[noreturn]] void fail(const std::string& text) { throw Error(ErrorCode::kInvalidArgument, "multipart body: " + text); }

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && strncasecmp(text.data(), prefix.data(), prefix.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// The value of `name` in 'form-data; name="a"; filename="b"': quoted, with \" and %22 for a quote, or bare.
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
  std::size_t at = header.find(';');
  while (at < header.size()) {
    std::string_view rest = trimmed(header.substr(at + 1));
    const std::size_t equals = std::min(rest.find('='), rest.size());
    const bool is_wanted = equals == name.size() && starts_with_ignoring_case(rest, name);
    std::string value;
    std::size_t end = std::min(equals + 1, rest.size());
    if (end < rest.size() && rest[end] == '"') {
      for (++end; end < rest.size() && rest[end] != '"'; ++end) {
        if (rest[end] == '\\' && end + 1 < rest.size() && (rest[end + 1] == '"' || rest[end + 1] == '\\')) ++end;
        value += rest[end];
      }
      end = std::min(rest.find(';', end), rest.size());
    } else {
      const std::size_t start = end;
      end = std::min(rest.find(';', start), rest.size());
      value = trimmed(rest.substr(start, end - start));
    }
    if (is_wanted) return value;
    at = static_cast<std::size_t>(rest.data() - header.data()) + end;
  }
  return std::nullopt;
}

FormPart parse_head(std::string_view head, std::size_t number) {
  FormPart part;
  bool has_disposition = false;
  while (!head.empty()) {
    const std::size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    const std::size_t colon = std::min(line.find(':'), line.size());
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(std::min(colon + 1, line.size())));
    if (name.size() == 19 && starts_with_ignoring_case(name, "Content-Disposition")) {
      has_disposition = starts_with_ignoring_case(value, "form-data");
      part.name = parameter(value, "name").value_or("");
      part.filename = parameter(value, "filename").value_or("");
    } else if (name.size() == 12 && starts_with_ignoring_case(name, "Content-Type")) {
      part.content_type = value.substr(0, value.find(';'));
    }
  }
  if (!has_disposition) fail(message("part ", number, " has no Content-Disposition: form-data"));
  return part;
}

std::string boundary_of(std::string_view content_type) {
  std::string boundary = parameter(content_type, "boundary").value_or("");
  if (boundary.empty() || boundary.size() > kMaxBoundary) {
    fail(message("Content-Type has a boundary of ", boundary.size(), " characters; expected 1 to ", kMaxBoundary));
  }
  return boundary;
}

}  // namespace

std::vector<FormPart> parse_multipart(std::string_view content_type, std::string_view body) {
  const std::string delimiter = "\r\n--" + boundary_of(content_type);
  const std::string_view first = std::string_view(delimiter).substr(2);
  std::size_t at = body.substr(0, first.size()) == first ? 0 : body.find(delimiter);
  if (at == std::string_view::npos) fail("no boundary found");
  at += at == 0 ? first.size() : delimiter.size();
  std::vector<FormPart> parts;
  while (body.substr(at, 2) != "--") {
    const std::size_t number = parts.size() + 1;
    if (number > kMaxParts) fail(message("more than ", kMaxParts, " parts"));
    if (body.substr(at, 2) != "\r\n") fail(message("no line break after boundary ", number));
    at += 2;
    const std::size_t head_end = body.substr(0, at + kMaxPartHead).find("\r\n\r\n", at);
    if (head_end == std::string_view::npos) {
      fail(message("the head of part ", number, " does not end within ", kMaxPartHead, " bytes"));
    }
    FormPart part = parse_head(body.substr(at, head_end - at), number);
    const std::size_t content = head_end + 4;
    // An empty part's delimiter begins with the line break that ends its head.
    const std::size_t end = body.find(delimiter, content - 2);
    if (end == std::string_view::npos) fail(message("part ", number, " does not end with the boundary"));
    part.content = end < content ? std::string_view() : body.substr(content, end - content);
    parts.push_back(std::move(part));
    at = end + delimiter.size();
  }
  return parts;
}

}  // namespace refrag::server

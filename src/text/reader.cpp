#include "text/reader.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"
#include "text/decode_text.h"

namespace refrag {
namespace {

constexpr std::array<std::pair<std::string_view, DocumentFormat>, 9> kExtensions{{
    {".txt", DocumentFormat::kText},
    {".text", DocumentFormat::kText},
    {".md", DocumentFormat::kMarkdown},
    {".markdown", DocumentFormat::kMarkdown},
    {".html", DocumentFormat::kHtml},
    {".htm", DocumentFormat::kHtml},
    {".pdf", DocumentFormat::kPdf},
    {".jsonl", DocumentFormat::kJsonLines},
    {".ndjson", DocumentFormat::kJsonLines},
}};

std::optional<DocumentFormat> format_by_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  for (const auto& [known, format] : kExtensions) {
    if (extension == known) {
      return format;
    }
  }
  return std::nullopt;
}

}  // namespace

DocumentFormat format_of(const std::filesystem::path& path) {
  return format_by_extension(path).value_or(DocumentFormat::kText);
}

bool is_known_extension(const std::filesystem::path& path) { return format_by_extension(path).has_value(); }

Document read_text(std::string_view bytes, const std::string& id) {
  return Document{.id = id, .title = {}, .text = decode_text(bytes), .metadata = {}};
}

Document read_document(DocumentFormat format, std::string_view bytes, const std::string& id,
                       const ReaderLimits& limits) {
  switch (format) {
    case DocumentFormat::kText:
      return read_text(bytes, id);
    case DocumentFormat::kMarkdown:
      return read_markdown(bytes, id);
    case DocumentFormat::kHtml:
      return read_html(bytes, id);
    case DocumentFormat::kPdf:
      return read_pdf(bytes, id, limits);
    case DocumentFormat::kJsonLines:
      break;
  }
  throw Error(ErrorCode::kInvalidArgument,
              message(id, ": a file of JSON lines holds many documents; expected the bytes of one"));
}

}  // namespace refrag

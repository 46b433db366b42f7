#include "server/documents_upload.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include "base/json_reader.h"
#include "base/message.h"
#include "refrag/error.h"
#include "server/multipart.h"
#include "server/parse.h"
#include "server/slots.h"
#include "text/reader.h"

namespace refrag::server {
namespace {

constexpr std::size_t kBatchDocuments = 64;
constexpr std::size_t kBatchBytes = 4 << 20;
constexpr std::size_t kPdfReaders = 4;  // of the whole process: each may take a core and 1 GiB

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }

std::optional<DocumentFormat> format_of_part(const FormPart& part) {
  if (is_known_extension(part.filename)) return format_of(part.filename);
  static const std::map<std::string, DocumentFormat> kTypes = {{"text/plain", DocumentFormat::kText},
                                                               {"text/markdown", DocumentFormat::kMarkdown},
                                                               {"text/html", DocumentFormat::kHtml},
                                                               {"application/pdf", DocumentFormat::kPdf},
                                                               {"application/x-ndjson", DocumentFormat::kJsonLines}};
  const auto found = kTypes.find(part.content_type);
  if (found == kTypes.end()) return std::nullopt;
  return found->second;
}

struct Form {
  std::vector<const FormPart*> files;
  std::optional<std::string> id;
  Metadata metadata;
};

Form read_form(const std::vector<FormPart>& parts) {
  Form form;
  for (const FormPart& part : parts) {
    if (!part.filename.empty()) {
      form.files.push_back(&part);
    } else if (part.name == "metadata") {
      form.metadata = parse_metadata(parse_json(part.content, "metadata"), "metadata");
    } else if (part.name == "id") {
      form.id = std::string(part.content);
    } else {
      throw Error(ErrorCode::kInvalidArgument,
                  message("unknown form field \"", part.name, "\"; expected files, metadata, id"), part.name);
    }
  }
  if (form.files.empty()) throw Error(ErrorCode::kInvalidArgument, "the form has no files", "file");
  if (form.id && form.files.size() > 1) {
    throw Error(ErrorCode::kInvalidArgument, message("id is set with ", form.files.size(), " files; expected one"),
                "id");
  }
  const bool holds_many = form.id && format_of_part(*form.files.front()) == DocumentFormat::kJsonLines;
  if (holds_many) {
    throw Error(ErrorCode::kInvalidArgument, "id is set with a file of NDJSON, whose lines have ids of their own",
                "id");
  }
  return form;
}

Slots& pdf_readers() {
  static Slots slots(kPdfReaders);
  return slots;
}

/// Throws where the file cannot be read as what it says it is.
Document read_file_part(DocumentFormat format, const FormPart& part, const std::string& id, const Form& form) {
  Document document = read_document(format, part.content, id);
  document.metadata.insert(form.metadata.begin(), form.metadata.end());
  return document;
}

void upload_file(DocumentsUpload& upload, const FormPart& part, const Form& form) {
  const std::string id = form.id.value_or(part.filename);
  const std::optional<DocumentFormat> format = format_of_part(part);
  if (!format) {
    upload.reject(id, message(part.filename, " has the type \"", part.content_type,
                              "\"; expected text, Markdown, HTML, PDF or NDJSON"));
    return;
  }
  if (*format == DocumentFormat::kJsonLines) {
    NdjsonUpload lines(upload, part.content.size(), form.metadata);
    lines.feed(part.content);
    lines.finish();
    return;
  }
  std::optional<Slot> slot;
  if (*format == DocumentFormat::kPdf) slot.emplace(pdf_readers(), [&upload] { upload.check(); });
  std::optional<Document> document;
  try {
    document = read_file_part(*format, part, id, form);
  } catch (const Error& error) {
    upload.reject(id, error.what());
    return;
  }
  slot.reset();
  upload.add(*std::move(document));  // outside: a commit's failure is not the file's
}

}  // namespace

void DocumentsUpload::add(Document document) {
  check();
  places_.push_back(results_.size());
  results_.push_back({document.id, DocumentStatus::kError, {}});
  pending_bytes_ += document.text.size();
  pending_.push_back(std::move(document));
  if (pending_.size() >= kBatchDocuments || pending_bytes_ >= kBatchBytes) commit();
}

void DocumentsUpload::reject(const std::string& id, const std::string& reason) {
  check();
  results_.push_back({id, DocumentStatus::kError, reason});
}

std::vector<DocumentResult> DocumentsUpload::finish() {
  if (!pending_.empty()) commit();
  return std::move(results_);
}

void DocumentsUpload::commit() {
  check();
  try {
    std::vector<DocumentResult> added = indexer_.add(pending_);
    for (std::size_t n = 0; n < added.size(); ++n) results_.at(places_.at(n)) = std::move(added[n]);
    has_committed_ = true;
  } catch (const Error& error) {
    if (!has_committed_) throw;
    for (const std::size_t place : places_) results_[place].error = error.what();
  }
  pending_.clear();
  places_.clear();
  pending_bytes_ = 0;
}

void LineSplitter::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    is_too_long_ = is_too_long_ || line_.size() + end > max_bytes_;
    if (is_too_long_) {
      line_.clear();
    } else {
      line_ += bytes.substr(0, end);
    }
    if (end == bytes.size()) return;
    end_line();
    bytes.remove_prefix(end + 1);
  }
}

void LineSplitter::finish() {
  if (!line_.empty() || is_too_long_) end_line();
}

void LineSplitter::end_line() {
  if (is_too_long_) {
    too_long_(number_);
  } else {
    take_(number_, line_);
  }
  line_.clear();
  is_too_long_ = false;
  ++number_;
}

NdjsonUpload::NdjsonUpload(DocumentsUpload& upload, std::size_t max_line_bytes, Metadata metadata)
    : lines_(
          max_line_bytes,
          [&upload, metadata = std::move(metadata)](std::size_t number, std::string_view line) {
            if (is_blank(line)) return;
            std::optional<Document> document;
            try {
              document = read_json_document(line);
            } catch (const Error& error) {
              upload.reject("", message("line ", number, ": ", error.what()));
              return;
            }
            document->metadata.insert(metadata.begin(), metadata.end());
            upload.add(*std::move(document));
          },
          [&upload, max_line_bytes](std::size_t number) {
            upload.reject("", message("line ", number, " is longer than ", max_line_bytes, " bytes"));
          }) {}

void upload_form(DocumentsUpload& upload, std::string_view content_type, std::string_view body) {
  const std::vector<FormPart> parts = parse_multipart(content_type, body);
  const Form form = read_form(parts);
  for (const FormPart* part : form.files) {
    upload.check();
    upload_file(upload, *part, form);
  }
}

}  // namespace refrag::server

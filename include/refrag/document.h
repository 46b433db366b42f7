#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "refrag/export.h"

namespace refrag {

using MetadataValue = std::variant<std::string, std::int64_t, double, bool>;
using Metadata = std::map<std::string, MetadataValue>;

/// A document as it comes in. All text is UTF-8; positions anywhere in this library are code points of the stored text.
struct Document {
  std::string id;  // 1 to 512 bytes; unique in a knowledge base
  std::string title;
  std::string text;
  Metadata metadata;
};

enum class DocumentStatus { kCreated, kReplaced, kUnchanged, kError };
REFRAG_EXPORT const char* name_of(DocumentStatus status);

/// What became of one document of a batch.
struct DocumentResult {
  std::string id;
  DocumentStatus status = DocumentStatus::kCreated;
  std::string error;  // the reason when status is kError
};

/// A stretch of a document that is retrieved and cited as one.
struct PassageSummary {
  std::string id;         // "DOCUMENT#N", N from 0
  std::size_t start = 0;  // code points of the document's text
  std::size_t end = 0;
  std::size_t chunks = 0;
};

struct StoredDocument {
  Document document;
  std::vector<PassageSummary> passages;
};

struct DocumentSummary {
  std::string id;
  std::string title;
  std::size_t passages = 0;
  std::size_t chunks = 0;
  Metadata metadata;
};

struct DocumentPage {
  std::vector<DocumentSummary> documents;  // by id
  std::string next;                        // pass as `after` for the page that follows; empty at the end
};

}  // namespace refrag

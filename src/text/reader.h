#pragma once
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "refrag/document.h"

namespace refrag {

/// One document that was read, or the reason why it could not be.
struct ReadResult {
  Document document;  // its id is set even on error where it is known
  std::string error;  // empty: fine
  std::string where;  // "notes.jsonl:17" or a path, for messages
};

enum class DocumentFormat { kText, kMarkdown, kHtml, kPdf, kJsonLines };
/// By extension (.txt .text .md .markdown .html .htm .pdf .jsonl .ndjson); kText where `path` has none of them.
DocumentFormat format_of(const std::filesystem::path& path);
bool is_known_extension(const std::filesystem::path& path);

struct ReaderLimits {
  std::size_t max_file_bytes = 256u << 20;  // one text, HTML, Markdown or PDF file
  std::size_t max_line_bytes = 64u << 20;   // one line of JSONL
  std::size_t pdf_seconds = 60;             // CPU time of pdftotext
  std::size_t pdf_memory_bytes = 1u << 30;
};

/// Bytes of one document to its text and title. Throws kCorrupt, kUnsupported or kInvalidArgument.
Document read_text(std::string_view bytes, const std::string& id);
Document read_markdown(std::string_view bytes, const std::string& id);  // md4c
Document read_html(std::string_view bytes, const std::string& id);      // libxml2; scripts and styles dropped
/// pdftotext in a child process with CPU, memory and time limits: a hostile PDF must not take the server down.
Document read_pdf(std::string_view bytes, const std::string& id, const ReaderLimits& limits = {});
/// One line {"id", "title", "text", "metadata"}; errors name the field.
Document read_json_document(std::string_view line);
/// The same with the error as a result, and the id where it could be read.
ReadResult try_read_json_document(std::string_view line, const std::string& where);
Document read_document(DocumentFormat format, std::string_view bytes, const std::string& id,
                       const ReaderLimits& limits = {});

/// Calls `take` with every document under `paths`, in a stable order, bounded in memory: files by extension,
/// directories walked (hidden files passed over, links not followed), "-" as NDJSON on standard input. The id of a file
/// is its path relative to the directory that was named. `take` returns false to stop. Throws only for a path that does
/// not exist; bad documents arrive as errors.
void read_paths(const std::vector<std::filesystem::path>& paths, const ReaderLimits& limits,
                const std::function<bool(ReadResult&&)>& take);

/// How many documents read_paths will give, by counting lines and files; 0 where standard input is among them.
std::size_t count_documents(const std::vector<std::filesystem::path>& paths);

}  // namespace refrag

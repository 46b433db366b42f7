#include <algorithm>
#include <csignal>

#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"
#include "text/child_process.h"
#include "text/decode_text.h"
#include "text/reader.h"

namespace refrag {
namespace {

// The longest plain text is far shorter than the file it is in; a bomb of compressed text is not.
constexpr std::size_t kMaxTextBytes = 64u << 20;

std::string first_line(const std::string& text) {
  return to_valid_utf8(text.substr(0, std::min<std::size_t>(text.find('\n'), 200)));
}

std::string reason_of(const ChildResult& child, const ReaderLimits& limits) {
  if (child.timed_out || child.signal == SIGXCPU || child.signal == SIGKILL) {
    return message("pdftotext took longer than ", limits.pdf_seconds, " s");
  }
  if (child.signal != 0) {
    return message("pdftotext was ended by signal ", child.signal, "; it may use ", limits.pdf_memory_bytes >> 20,
                   " MiB of memory");
  }
  const std::string said = first_line(child.errors);
  return message("pdftotext could not read it (exit code ", child.exit_code, ")", said.empty() ? "" : ": ", said);
}

}  // namespace

Document read_pdf(std::string_view bytes, const std::string& id, const ReaderLimits& limits) {
  static constexpr std::size_t kHeaderWithin = 1024;  // where the format allows it to begin
  if (bytes.substr(0, kHeaderWithin).find("%PDF-") == std::string_view::npos) {
    throw Error(ErrorCode::kCorrupt, "not a PDF file: no \"%PDF-\" in its first 1,024 bytes");
  }
  const auto program = find_program("pdftotext");
  if (!program) {
    throw Error(
        ErrorCode::kUnsupported,
        "PDF files are read with pdftotext, which is not in PATH; install it with: apt-get install poppler-utils");
  }
  const ChildLimits child_limits{.cpu_seconds = limits.pdf_seconds,
                                 .wall_seconds = 2 * limits.pdf_seconds,
                                 .memory_bytes = limits.pdf_memory_bytes,
                                 .output_bytes = kMaxTextBytes};
  const ChildResult child = run_child(*program, {"-enc", "UTF-8", "-eol", "unix", "-", "-"}, bytes, child_limits);
  if (child.output_cut) {
    throw Error(ErrorCode::kInvalidArgument,
                message("the PDF file holds more than ", kMaxTextBytes >> 20, " MiB of text"));
  }
  if (child.exit_code != 0) {
    throw Error(ErrorCode::kCorrupt, reason_of(child, limits));
  }
  std::string text = decode_text(child.output);
  std::replace(text.begin(), text.end(), '\f', '\n');  // a page break: a blank line
  if (text.find_first_not_of(" \n\t\r") == std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument,
                "the PDF file holds no text; scanned pages need character recognition first");
  }
  return Document{.id = id, .title = {}, .text = std::move(text), .metadata = {}};
}

}  // namespace refrag

#include "cli/passage_view.h"

#include <sstream>

#include "base/utf8.h"

namespace refrag::cli {
namespace {

std::string_view slice(std::string_view text, std::size_t first_code_point, std::size_t last_code_point) {
  const std::size_t begin = byte_of_code_point(text, first_code_point);
  return text.substr(begin, byte_of_code_point(text, last_code_point) - begin);
}

std::string shown(const Terminal& terminal, std::string_view text, ChunkState state) {
  const std::string safe = printable(text);
  if (state == ChunkState::kCompressed) {
    return terminal.dim(safe);
  }
  return terminal.colors ? terminal.bright(safe) : "[" + safe + "]";
}

void print_text(std::ostream& out, const Terminal& terminal, const Hit& hit) {
  std::size_t done = hit.start;
  for (const ChunkReport& chunk : hit.chunks) {
    out << printable(slice(hit.text, done - hit.start, chunk.start - hit.start));
    out << shown(terminal, slice(hit.text, chunk.start - hit.start, chunk.end - hit.start), chunk.state);
    done = chunk.end;
  }
  out << printable(slice(hit.text, done - hit.start, hit.end - hit.start));
  out << '\n';
}

void print_reasons(std::ostream& out, const Hit& hit) {
  for (std::size_t n = 0; n < hit.chunks.size(); ++n) {
    const ChunkReport& chunk = hit.chunks[n];
    out << "    chunk " << n << " (" << chunk.start << '-' << chunk.end << ") " << name_of(chunk.state);
    if (chunk.score) {
      out << ", score " << *chunk.score;
    }
    out << ": " << chunk.reason << '\n';
  }
}

}  // namespace

std::string heading_of(const Hit& hit, std::size_t number) {
  std::ostringstream out;
  out.precision(4);
  out << '[' << number << "] " << printable(hit.passage_id) << " (" << hit.start << '-' << hit.end << ')';
  if (!hit.title.empty() && hit.title != hit.document_id) {
    out << ' ' << printable(hit.title);
  }
  out << "  score " << hit.score;
  if (hit.dense) {
    out << ", dense rank " << hit.dense->rank;
  }
  if (hit.lexical) {
    out << ", lexical rank " << hit.lexical->rank;
  }
  if (hit.rerank) {
    out << ", rerank " << hit.rerank->rank;
  }
  return out.str();
}

void print_passages(std::ostream& out, const Terminal& terminal, const std::vector<Hit>& hits, bool why) {
  for (std::size_t n = 0; n < hits.size(); ++n) {
    out << terminal.accent(heading_of(hits[n], n + 1)) << '\n';
    print_text(out, terminal, hits[n]);
    if (why) {
      print_reasons(out, hits[n]);
    }
  }
}

}  // namespace refrag::cli

#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/token.h"
#include "text/tokenizer.h"

namespace refrag {

// NFC may make a text three times as long, and ICU counts in int32.
inline constexpr std::size_t kMaxDocumentBytes = 512u << 20;

struct PassageOptions {
  std::size_t passage_tokens = 256;
  std::size_t overlap_tokens = 0;
  std::size_t chunk_size = 16;  // k, decoder tokens
};

/// k decoder tokens of one passage; the last chunk of a passage is shorter.
struct Chunk {
  std::vector<TokenId> ids;
  ByteRange bytes;  // in the document's text; a character belongs to the chunk that holds its first byte
};

/// A passage as tokens. Its text is tokenized once, alone, and its ids are never joined with others and tokenized
/// again.
struct Passage {
  ByteRange bytes;  // in the document's text
  std::vector<Chunk> chunks;
};

/// Passages of a document: cut at headings, paragraphs and sentences so that each has at most `passage_tokens`
/// decoder tokens; a longer sentence is cut between words. Empty for blank text.
std::vector<Passage> cut_into_passages(std::string_view text, const Tokenizer& decoder_tokenizer,
                                       const PassageOptions& options);

/// Cuts ids that are tokenized already (a question, a passage of a request) into chunks, their bytes from the first
/// token's to the last one's; `encoding.ranges` may be empty.
std::vector<Chunk> cut_into_chunks(const Encoding& encoding, std::size_t chunk_size);

/// The text form that is stored: valid UTF-8, Unicode NFC, line ends as \n, no NUL.
std::string normalize_document_text(std::string_view text);

}  // namespace refrag

#pragma once
#include <string>
#include <vector>

#include "engine/model_runner.h"
#include "refrag/document.h"
#include "store/batch.h"
#include "text/chunker.h"

namespace refrag {

/// The steps that turn a document into what the knowledge base stores, in the order of these functions.

/// The document in its stored form: title, text and metadata as valid, normalized UTF-8. Throws kInvalidArgument,
/// naming the field, for one that cannot be stored.
Document storable_form(const Document& document);

/// Names and texts as they are stored, and so as a filter has to compare them.
Metadata storable_metadata(const Metadata& metadata);

/// SHA-256 of all that decides the stored form: title, text, metadata, and how passages and chunks are cut. The id is
/// not in it. Takes a document in stored form.
std::string content_hash(const Document& document, const PassageOptions& options);

/// A document cut into passages and chunks.
struct CutDocument {
  DocumentRecord record;
  std::vector<ByteRange> passage_bytes;  // of each passage, in record.document.text
};

/// Passages and chunks with their places in code points; no vectors yet. Throws kInvalidArgument for text without
/// words.
CutDocument cut_document(Document document, std::string hash, const Tokenizer& tokenizer,
                         const PassageOptions& options);

/// Chunk and passage vectors of all documents: one call of the model for each kind, so that it can sort by length.
/// Width 0 in `schema`: none of that kind.
void add_vectors(std::vector<CutDocument>& documents, const ModelRunner& runner, const KnowledgeBaseSchema& schema);

}  // namespace refrag

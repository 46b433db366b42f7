#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "refrag/document.h"
#include "store/batch.h"
#include "store/meta_schema.h"
#include "store/snapshot.h"
#include "store/sqlite.h"

namespace refrag {

/// Passages `first` to `first + count`, those of one document.
struct PassageRange {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

// The rows of documents and passages in meta.db. Those that write belong into a transaction and keep `state` up to
// date.

/// Gives the document and its passages the next numbers.
void insert_document(Connection& connection, const DocumentRecord& record, StoreState& state);
/// Marks the live document of that id, if there is one, as gone from `state.generation` on.
bool bury_document(Connection& connection, const std::string& id, StoreState& state);
/// Deletes the rows of documents that died up to `horizon` and whose passages stand in no segment any more.
void purge_documents(Connection& connection, std::int64_t horizon, const std::function<bool(PassageRange)>& is_in_use);

/// Passages of documents that died after `generation`.
std::vector<PassageRange> dead_passages(Connection& connection, std::int64_t after_generation);
/// Passages of documents, dead or alive, whose metadata has `name` with a value equal to `value`.
std::vector<PassageRange> passages_with(Connection& connection, const std::string& name, const MetadataValue& value);

std::optional<StoredDocument> read_document(Connection& connection, const std::string& id);
DocumentPage list_documents(Connection& connection, const std::string& after, std::size_t limit);
std::string read_content_hash(Connection& connection, const std::string& id);  // empty where not stored
/// A passage by its number; the caller fills in `key`.
StoredPassage read_passage(Connection& connection, std::int64_t passage);

}  // namespace refrag

#pragma once
#include <cstdint>
#include <filesystem>

#include "refrag/knowledge_base.h"
#include "store/sqlite.h"

namespace refrag {

/// The one row of counters in meta.db; changed by every commit, in its transaction.
struct StoreState {
  std::int64_t generation = 0;  // commits so far, merges included
  std::int64_t purged = 0;      // documents that died up to this generation may be gone from the tables
  std::int64_t next_document = 1;
  std::int64_t next_passage = 1;
  std::int64_t next_segment = 1;
  std::int64_t documents = 0;  // live ones, as the four that follow
  std::int64_t passages = 0;
  std::int64_t chunks = 0;
  std::int64_t tokens = 0;
  std::int64_t dead_chunks = 0;  // rows of segments whose documents are gone
};

/// Makes the tables of an empty meta.db.
void create_tables(Connection& connection, const KnowledgeBaseSchema& schema);
/// Checks that the file is ours and of a version we read; throws kCorrupt or kUnsupported.
KnowledgeBaseSchema read_schema(Connection& connection);
StoreState read_state(Connection& connection);
void write_state(Connection& connection, const StoreState& state);

}  // namespace refrag

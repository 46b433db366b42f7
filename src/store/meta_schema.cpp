#include "store/meta_schema.h"

#include <limits>
#include <string>

#include "base/json_reader.h"
#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::int64_t kApplicationId = 0x52465247;  // "RFRG"
constexpr std::int64_t kVersion = 1;
constexpr std::int64_t kMostWidth = 1 << 16;

// Rows never change once written, but for documents.died: a snapshot reads them without a transaction.
// - documents.died is the generation from which on a document is gone; its rows stay for older snapshots.
// - A document's passages are first_passage, first_passage + 1, ...
// - metadata values: text, integer or real (SQLite finds 1 equal to 1.0), booleans as a one-byte blob.
// - passage_words is contentless: its rowid is the passage number, its text that of passages and documents.title.
constexpr const char* kTables = R"(
CREATE TABLE properties(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE state(
  generation INTEGER NOT NULL, purged INTEGER NOT NULL,
  next_document INTEGER NOT NULL, next_passage INTEGER NOT NULL, next_segment INTEGER NOT NULL,
  documents INTEGER NOT NULL, passages INTEGER NOT NULL, chunks INTEGER NOT NULL, tokens INTEGER NOT NULL,
  dead_chunks INTEGER NOT NULL);
CREATE TABLE documents(
  number INTEGER PRIMARY KEY, id TEXT NOT NULL, died INTEGER,
  first_passage INTEGER NOT NULL, passages INTEGER NOT NULL, chunks INTEGER NOT NULL, tokens INTEGER NOT NULL,
  content_hash TEXT NOT NULL, title TEXT NOT NULL, metadata TEXT NOT NULL);
CREATE UNIQUE INDEX live_documents ON documents(id) WHERE died IS NULL;
CREATE INDEX dead_documents ON documents(died) WHERE died IS NOT NULL;
CREATE TABLE texts(document INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE metadata(
  name TEXT NOT NULL, value NOT NULL, document INTEGER NOT NULL,
  first_passage INTEGER NOT NULL, passages INTEGER NOT NULL,
  PRIMARY KEY(name, value, document)) WITHOUT ROWID;
CREATE TABLE passages(
  number INTEGER PRIMARY KEY, document INTEGER NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
  chunk_count INTEGER NOT NULL, chunks BLOB NOT NULL, text TEXT NOT NULL);
CREATE TABLE segments(
  number INTEGER PRIMARY KEY, born INTEGER NOT NULL, passage_index TEXT NOT NULL,
  passages_bytes INTEGER NOT NULL, passages_sha256 TEXT NOT NULL,
  chunks_bytes INTEGER NOT NULL, chunks_sha256 TEXT NOT NULL, rows BLOB NOT NULL);
CREATE VIRTUAL TABLE passage_words USING fts5(
  title, text, content='', tokenize='unicode61 remove_diacritics 2');
CREATE VIRTUAL TABLE passage_terms USING fts5vocab(passage_words, row);
)";

std::string encode_schema(const KnowledgeBaseSchema& schema) {
  return Json{{"identities", {{"chunks", schema.identities.chunks}, {"passages", schema.identities.passages}}},
              {"chunk_size", schema.chunk_size},
              {"chunk_width", schema.chunk_width},
              {"passage_width", schema.passage_width},
              {"vector_format", name_of(schema.vector_format)},
              {"model_name", schema.model_name},
              {"identity_note", schema.identity_note}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

KnowledgeBaseSchema decode_schema(std::string_view text, const std::string& file) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  JsonReader reader(json, file + ": ", ErrorCode::kCorrupt);
  KnowledgeBaseSchema schema;
  JsonReader identities = reader.object("identities");
  schema.identities = {identities.text("chunks"), identities.text("passages")};
  schema.chunk_size = static_cast<std::size_t>(reader.integer("chunk_size", 1, kMostWidth));
  schema.chunk_width = static_cast<std::size_t>(reader.integer("chunk_width", 0, kMostWidth));
  schema.passage_width = static_cast<std::size_t>(reader.integer("passage_width", 0, kMostWidth));
  const char* fp16 = name_of(VectorFormat::kFp16);
  const char* int8 = name_of(VectorFormat::kInt8);
  schema.vector_format =
      reader.one_of("vector_format", {fp16, int8}, 0) == 0 ? VectorFormat::kFp16 : VectorFormat::kInt8;
  schema.model_name = reader.text("model_name");
  schema.identity_note = reader.text("identity_note");
  return schema;
}

void check_limits(const KnowledgeBaseSchema& schema) {
  const auto check = [](std::size_t value, std::size_t least, const char* field) {
    if (value < least || value > kMostWidth) {
      throw Error(ErrorCode::kInvalidArgument, message(field, " is ", value, "; expected ", least, " to ", kMostWidth),
                  field);
    }
  };
  check(schema.chunk_size, 1, "chunk_size");
  check(schema.chunk_width, 0, "chunk_width");
  check(schema.passage_width, 0, "passage_width");
}

/// Tables and indexes as SQLite knows them. Those that FTS5 makes for itself count by name: their columns are SQLite's
/// affair, and may be others in another version of it.
std::string tables_of(Connection& connection) {
  Statement statement(connection,
                      "SELECT type, name, CASE WHEN name GLOB 'passage_words_*' THEN '' ELSE sql END "
                      "FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*' ORDER BY name, type");
  std::string tables;
  while (statement.step()) {
    tables += message(statement.text(0), " ", statement.text(1), " ", statement.text(2), "\n");
  }
  return tables;
}

const std::string& expected_tables() {
  static const std::string tables = [] {
    Connection connection(":memory:", Connection::Mode::kCreate);
    connection.execute(kTables);
    return tables_of(connection);
  }();
  return tables;
}

}  // namespace

void create_tables(Connection& connection, const KnowledgeBaseSchema& schema) {
  check_limits(schema);
  connection.execute("PRAGMA journal_mode = WAL");
  Transaction transaction(connection, Transaction::Kind::kWrite);
  connection.execute(kTables);
  connection.execute(message("PRAGMA application_id = ", kApplicationId).c_str());
  connection.execute(message("PRAGMA user_version = ", kVersion).c_str());
  const std::string json = encode_schema(schema);
  Statement(connection, "INSERT INTO properties VALUES('schema', ?)").bind(1, json).run();
  connection.execute("INSERT INTO state VALUES(0, 0, 1, 1, 1, 0, 0, 0, 0, 0)");
  transaction.commit();
}

KnowledgeBaseSchema read_schema(Connection& connection) {
  const std::string file = connection.path().string();
  const std::int64_t application = connection.integer("PRAGMA application_id");
  if (application != kApplicationId) {
    throw Error(ErrorCode::kCorrupt, message(file, " is no knowledge base: its application id is ", application,
                                             "; expected ", kApplicationId));
  }
  const std::int64_t version = connection.integer("PRAGMA user_version");
  if (version != kVersion) {
    throw Error(version > kVersion ? ErrorCode::kUnsupported : ErrorCode::kCorrupt,
                message(file, " has format version ", version, "; this program reads version ", kVersion));
  }
  // No statement of ours may run a view or a trigger that someone put in the place of a table.
  if (tables_of(connection) != expected_tables()) {
    throw Error(ErrorCode::kCorrupt, message(file, ": its tables are not those of format version ", kVersion));
  }
  Statement statement(connection, "SELECT value FROM properties WHERE name = 'schema'");
  if (!statement.step()) {
    throw Error(ErrorCode::kCorrupt, message(file, ": the schema is missing"));
  }
  return decode_schema(statement.text(0), file);
}

StoreState read_state(Connection& connection) {
  Statement statement(connection,
                      "SELECT generation, purged, next_document, next_passage, next_segment, documents, passages, "
                      "chunks, tokens, dead_chunks FROM state");
  if (!statement.step()) {
    throw Error(ErrorCode::kCorrupt, message(connection.path().string(), ": the state row is missing"));
  }
  StoreState state;
  int column = 0;
  for (std::int64_t* field :
       {&state.generation, &state.purged, &state.next_document, &state.next_passage, &state.next_segment,
        &state.documents, &state.passages, &state.chunks, &state.tokens, &state.dead_chunks}) {
    *field = statement.integer(column++);
    // Half the range: a counter of a damaged file must not overflow when we add to it.
    if (*field < 0 || *field > std::numeric_limits<std::int64_t>::max() / 2) {
      throw Error(ErrorCode::kCorrupt, message(connection.path().string(), ": the state row holds ", *field));
    }
  }
  if (state.purged > state.generation) {
    throw Error(ErrorCode::kCorrupt, message(connection.path().string(), ": generation ", state.purged,
                                             " was purged, but the newest is ", state.generation));
  }
  return state;
}

void write_state(Connection& connection, const StoreState& state) {
  Statement statement(connection,
                      "UPDATE state SET generation = ?, purged = ?, next_document = ?, next_passage = ?, "
                      "next_segment = ?, documents = ?, passages = ?, chunks = ?, tokens = ?, dead_chunks = ?");
  int parameter = 0;
  for (const std::int64_t value :
       {state.generation, state.purged, state.next_document, state.next_passage, state.next_segment, state.documents,
        state.passages, state.chunks, state.tokens, state.dead_chunks}) {
    statement.bind(++parameter, value);
  }
  statement.run();
}

}  // namespace refrag

#include "store/document_rows.h"

#include <algorithm>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>

#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"
#include "store/record_codec.h"

namespace refrag {
namespace {

std::string passage_id(std::string_view document, std::int64_t position) { return message(document, "#", position); }

std::string where(const Connection& connection, std::string_view kind, std::int64_t number) {
  return message(connection.path().string(), ": ", kind, " ", number);
}

std::size_t count_tokens(const std::vector<PassageRecord>& passages) {
  std::size_t tokens = 0;
  for (const PassageRecord& passage : passages) {
    for (const ChunkRecord& chunk : passage.chunks) {
      tokens += chunk.ids.size();
    }
  }
  return tokens;
}

std::size_t count_chunks(const std::vector<PassageRecord>& passages) {
  std::size_t chunks = 0;
  for (const PassageRecord& passage : passages) {
    chunks += passage.chunks.size();
  }
  return chunks;
}

/// Code points to bytes, quick for positions near the one asked for before, as those of passages in order are.
class TextCursor {
 public:
  explicit TextCursor(std::string_view text) : text_(text) {}
  std::size_t byte_of(std::size_t code_point) {
    if (code_point < code_point_) {
      code_point_ = byte_ = 0;
    }
    byte_ += byte_of_code_point(text_.substr(byte_), code_point - code_point_);
    code_point_ = code_point;
    return byte_;
  }

 private:
  std::string_view text_;
  std::size_t code_point_ = 0;
  std::size_t byte_ = 0;
};

void insert_passages(Connection& connection, const DocumentRecord& record, std::int64_t document,
                     std::int64_t first_passage) {
  Statement row(connection, "INSERT INTO passages VALUES(?, ?, ?, ?, ?, ?, ?)");
  Statement words(connection, "INSERT INTO passage_words(rowid, title, text) VALUES(?, ?, ?)");
  TextCursor cursor(record.document.text);
  std::int64_t number = first_passage;
  for (const PassageRecord& passage : record.passages) {
    const std::size_t begin = cursor.byte_of(passage.start);
    const std::size_t end = cursor.byte_of(passage.end);
    const std::string_view text = std::string_view(record.document.text).substr(begin, end - begin);
    const std::string chunks = encode_chunks(passage.chunks, passage.start);
    row.bind(1, number)
        .bind(2, document)
        .bind(3, static_cast<std::int64_t>(passage.start))
        .bind(4, static_cast<std::int64_t>(passage.end))
        .bind(5, static_cast<std::int64_t>(passage.chunks.size()))
        .bind_blob(6, chunks)
        .bind(7, text)
        .run();
    words.bind(1, number).bind(2, record.document.title).bind(3, text).run();
    ++number;
  }
}

void bind_value(Statement& statement, int parameter, const MetadataValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    statement.bind(parameter, std::string_view(*text));
  } else if (const auto* integer = std::get_if<std::int64_t>(&value)) {
    statement.bind(parameter, *integer);
  } else if (const auto* number = std::get_if<double>(&value)) {
    statement.bind(parameter, *number);
  } else {
    // A blob equals no number: true is not 1.
    static constexpr std::string_view kFalse("\0", 1);
    static constexpr std::string_view kTrue("\1", 1);
    statement.bind_blob(parameter, std::get<bool>(value) ? kTrue : kFalse);
  }
}

void insert_metadata(Connection& connection, const Metadata& metadata, std::int64_t document, PassageRange passages) {
  Statement statement(connection, "INSERT INTO metadata VALUES(?, ?, ?, ?, ?)");
  for (const auto& [name, value] : metadata) {
    statement.bind(1, std::string_view(name));
    bind_value(statement, 2, value);
    statement.bind(3, document).bind(4, passages.first).bind(5, passages.count).run();
  }
}

/// Columns `column` and the next: the first passage and how many there are.
PassageRange range_at(const Statement& statement, int column, const Connection& connection) {
  constexpr std::int64_t kMost = std::int64_t{1} << 40;  // a damaged file's numbers must not overflow when added
  const PassageRange range{statement.integer(column), statement.integer(column + 1)};
  if (range.first < 0 || range.first > kMost || range.count < 0 || range.count > kMost) {
    throw Error(ErrorCode::kCorrupt, message(connection.path().string(), ": a document has ", range.count,
                                             " passages from number ", range.first));
  }
  return range;
}

/// Columns `column` and the next: where a passage starts and ends.
std::pair<std::size_t, std::size_t> extent_at(const Statement& statement, int column, const std::string& what) {
  const std::int64_t start = statement.integer(column);
  const std::int64_t end = statement.integer(column + 1);
  if (start < 0 || end < start) {
    throw Error(ErrorCode::kCorrupt, message(what, " is said to stand from ", start, " to ", end));
  }
  return {static_cast<std::size_t>(start), static_cast<std::size_t>(end)};
}

std::vector<PassageRange> ranges_of(Statement& statement, const Connection& connection) {
  std::vector<PassageRange> ranges;
  while (statement.step()) {
    ranges.push_back(range_at(statement, 0, connection));
  }
  return ranges;
}

struct DeadDocument {
  std::int64_t number = 0;
  PassageRange passages;
  std::string title;
  Metadata metadata;
};

std::vector<DeadDocument> dead_documents(Connection& connection, std::int64_t horizon) {
  Statement statement(connection,
                      "SELECT number, first_passage, passages, title, metadata FROM documents "
                      "WHERE died IS NOT NULL AND died <= ?");
  statement.bind(1, horizon);
  std::vector<DeadDocument> dead;
  while (statement.step()) {
    const std::int64_t number = statement.integer(0);
    dead.push_back({number, range_at(statement, 1, connection), std::string(statement.text(3)),
                    decode_metadata(statement.text(4), where(connection, "document", number))});
  }
  return dead;
}

void purge_document(Connection& connection, const DeadDocument& dead) {
  Statement passage(connection, "SELECT number, text FROM passages WHERE number >= ?1 AND number < ?1 + ?2");
  // A contentless index forgets a row when it is told the very words it was given.
  Statement words(connection, "INSERT INTO passage_words(passage_words, rowid, title, text) VALUES('delete', ?, ?, ?)");
  passage.bind(1, dead.passages.first).bind(2, dead.passages.count);
  while (passage.step()) {
    words.bind(1, passage.integer(0)).bind(2, dead.title).bind(3, passage.text(1)).run();
  }
  passage.run();
  Statement(connection, "DELETE FROM passages WHERE number >= ? AND number < ?")
      .bind(1, dead.passages.first)
      .bind(2, dead.passages.first + dead.passages.count)
      .run();
  Statement metadata(connection, "DELETE FROM metadata WHERE name = ? AND value = ? AND document = ?");
  for (const auto& [name, value] : dead.metadata) {
    metadata.bind(1, std::string_view(name));
    bind_value(metadata, 2, value);
    metadata.bind(3, dead.number).run();
  }
  Statement(connection, "DELETE FROM texts WHERE document = ?").bind(1, dead.number).run();
  Statement(connection, "DELETE FROM documents WHERE number = ?").bind(1, dead.number).run();
}

}  // namespace

void insert_document(Connection& connection, const DocumentRecord& record, StoreState& state) {
  const std::int64_t number = state.next_document++;
  const auto passages = static_cast<std::int64_t>(record.passages.size());
  const auto chunks = static_cast<std::int64_t>(count_chunks(record.passages));
  const auto tokens = static_cast<std::int64_t>(count_tokens(record.passages));
  const std::string metadata = encode_metadata(record.document.metadata);
  Statement(connection, "INSERT INTO documents VALUES(?, ?, NULL, ?, ?, ?, ?, ?, ?, ?)")
      .bind(1, number)
      .bind(2, record.document.id)
      .bind(3, state.next_passage)
      .bind(4, passages)
      .bind(5, chunks)
      .bind(6, tokens)
      .bind(7, record.content_hash)
      .bind(8, record.document.title)
      .bind(9, metadata)
      .run();
  Statement(connection, "INSERT INTO texts VALUES(?, ?)").bind(1, number).bind(2, record.document.text).run();
  insert_metadata(connection, record.document.metadata, number, {state.next_passage, passages});
  insert_passages(connection, record, number, state.next_passage);
  state.next_passage += passages;
  state.documents += 1;
  state.passages += passages;
  state.chunks += chunks;
  state.tokens += tokens;
}

bool bury_document(Connection& connection, const std::string& id, StoreState& state) {
  // Not UPDATE ... RETURNING: that opens a savepoint, at which FTS5 writes out the words it has gathered so far.
  Statement document(connection,
                     "SELECT number, passages, chunks, tokens FROM documents WHERE id = ? AND died IS NULL");
  if (!document.bind(1, id).step()) {
    return false;
  }
  Statement(connection, "UPDATE documents SET died = ? WHERE number = ?")
      .bind(1, state.generation)
      .bind(2, document.integer(0))
      .run();
  state.documents -= 1;
  state.passages -= document.integer(1);
  state.chunks -= document.integer(2);
  state.dead_chunks += document.integer(2);
  state.tokens -= document.integer(3);
  return true;
}

void purge_documents(Connection& connection, std::int64_t horizon, const std::function<bool(PassageRange)>& is_in_use) {
  for (const DeadDocument& dead : dead_documents(connection, horizon)) {
    if (!is_in_use(dead.passages)) {
      purge_document(connection, dead);
    }
  }
}

std::vector<PassageRange> dead_passages(Connection& connection, std::int64_t after_generation) {
  Statement statement(connection, "SELECT first_passage, passages FROM documents WHERE died IS NOT NULL AND died > ?");
  statement.bind(1, after_generation);
  return ranges_of(statement, connection);
}

std::vector<PassageRange> passages_with(Connection& connection, const std::string& name, const MetadataValue& value) {
  Statement statement(connection, "SELECT first_passage, passages FROM metadata WHERE name = ? AND value = ?");
  statement.bind(1, std::string_view(name));
  bind_value(statement, 2, value);
  return ranges_of(statement, connection);
}

std::optional<StoredDocument> read_document(Connection& connection, const std::string& id) {
  const Transaction transaction(connection, Transaction::Kind::kRead);  // one state for both statements
  Statement document(connection,
                     "SELECT number, title, metadata, first_passage, passages, text FROM documents "
                     "JOIN texts ON document = number WHERE id = ? AND died IS NULL");
  if (!document.bind(1, id).step()) {
    return std::nullopt;
  }
  const std::string what = where(connection, "document", document.integer(0));
  StoredDocument stored;
  stored.document = {id, std::string(document.text(1)), std::string(document.text(5)),
                     decode_metadata(document.text(2), what)};
  const auto [first, count] = range_at(document, 3, connection);
  Statement passage(connection,
                    "SELECT number, start, end, chunk_count FROM passages WHERE number >= ?1 AND number < ?1 + ?2 "
                    "ORDER BY number");
  passage.bind(1, first).bind(2, count);
  while (passage.step()) {
    const auto [start, end] = extent_at(passage, 1, where(connection, "passage", passage.integer(0)));
    const std::int64_t chunks = passage.integer(3);
    stored.passages.push_back({passage_id(id, passage.integer(0) - first), start, end,
                               static_cast<std::size_t>(std::max<std::int64_t>(chunks, 0))});
  }
  return stored;
}

DocumentPage list_documents(Connection& connection, const std::string& after, std::size_t limit) {
  Statement statement(connection,
                      "SELECT id, title, passages, chunks, metadata FROM documents "
                      "WHERE died IS NULL AND id > ? ORDER BY id LIMIT ?");
  // One more than asked for tells whether a page follows.
  constexpr std::size_t kMost = std::size_t{1} << 32;
  statement.bind(1, after).bind(2, static_cast<std::int64_t>(std::min(limit, kMost)) + 1);
  DocumentPage page;
  while (statement.step()) {
    if (page.documents.size() == limit) {
      page.next = page.documents.empty() ? after : page.documents.back().id;
      break;
    }
    const std::string id(statement.text(0));
    page.documents.push_back({id, std::string(statement.text(1)), static_cast<std::size_t>(statement.integer(2)),
                              static_cast<std::size_t>(statement.integer(3)),
                              decode_metadata(statement.text(4), connection.path().string() + ": document " + id)});
  }
  return page;
}

std::string read_content_hash(Connection& connection, const std::string& id) {
  Statement statement(connection, "SELECT content_hash FROM documents WHERE id = ? AND died IS NULL");
  return statement.bind(1, id).step() ? std::string(statement.text(0)) : std::string();
}

StoredPassage read_passage(Connection& connection, std::int64_t passage) {
  Statement statement(connection,
                      "SELECT id, first_passage, title, start, end, passages.chunks, text FROM passages "
                      "JOIN documents ON documents.number = document WHERE passages.number = ?");
  const std::string what = where(connection, "passage", passage);
  if (!statement.bind(1, passage).step()) {
    throw Error(ErrorCode::kCorrupt, what + " has no row");
  }
  StoredPassage stored;
  stored.document_id = statement.text(0);
  stored.passage_id = passage_id(stored.document_id, passage - statement.integer(1));
  stored.title = statement.text(2);
  stored.text = statement.text(6);
  std::tie(stored.start, stored.end) = extent_at(statement, 3, what);
  stored.chunks = decode_chunks(statement.blob(5), stored.start, what);
  return stored;
}

}  // namespace refrag

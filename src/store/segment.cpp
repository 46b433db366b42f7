#include "store/segment.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <utility>

#include "base/fail_point.h"
#include "base/files.h"
#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFlatWord = "flat";
constexpr std::string_view kInvertedWord = "inverted";

fs::path segment_path(const fs::path& directory, std::int64_t segment, const char* kind) {
  std::array<char, 64> name{};
  std::snprintf(name.data(), name.size(), "%06lld.%s.faiss", static_cast<long long>(segment), kind);
  return directory / "segments" / name.data();
}

std::shared_ptr<const SegmentFile> open_file(const fs::path& path, const FileRecord& record) {
  return record.bytes == 0 ? nullptr : std::make_shared<const SegmentFile>(path, record);
}

}  // namespace

fs::path passages_path(const fs::path& directory, std::int64_t segment) {
  return segment_path(directory, segment, "passages");
}
fs::path chunks_path(const fs::path& directory, std::int64_t segment) {
  return segment_path(directory, segment, "chunks");
}

void insert_segment(Connection& connection, const SegmentRecord& record) {
  const std::string rows = encode_rows(record.rows);
  Statement(connection, "INSERT INTO segments VALUES(?, ?, ?, ?, ?, ?, ?, ?)")
      .bind(1, record.number)
      .bind(2, record.born)
      .bind(3, record.passage_index == PassageIndexKind::kFlat ? kFlatWord : kInvertedWord)
      .bind(4, static_cast<std::int64_t>(record.passages_file.bytes))
      .bind(5, record.passages_file.hashes)
      .bind(6, static_cast<std::int64_t>(record.chunks_file.bytes))
      .bind(7, record.chunks_file.hashes)
      .bind_blob(8, rows)
      .run();
}

void delete_segment(Connection& connection, std::int64_t number) {
  Statement(connection, "DELETE FROM segments WHERE number = ?").bind(1, number).run();
}

std::vector<std::int64_t> segment_numbers(Connection& connection) {
  Statement statement(connection, "SELECT number FROM segments ORDER BY number");
  std::vector<std::int64_t> numbers;
  while (statement.step()) {
    numbers.push_back(statement.integer(0));
  }
  return numbers;
}

SegmentRecord read_segment(Connection& connection, std::int64_t number) {
  Statement statement(connection,
                      "SELECT born, passage_index, passages_bytes, passages_sha256, chunks_bytes, chunks_sha256, rows "
                      "FROM segments WHERE number = ?");
  const std::string what = message(connection.path().string(), ": segment ", number);
  if (!statement.bind(1, number).step()) {
    throw Error(ErrorCode::kCorrupt, what + " has no row");
  }
  SegmentRecord record;
  record.number = number;
  record.born = statement.integer(0);
  if (statement.text(1) != kFlatWord && statement.text(1) != kInvertedWord) {
    throw Error(ErrorCode::kCorrupt, message(what, " has a passage index of kind \"", statement.text(1), "\""));
  }
  record.passage_index = statement.text(1) == kFlatWord ? PassageIndexKind::kFlat : PassageIndexKind::kInverted;
  record.passages_file = {static_cast<std::uint64_t>(statement.integer(2)), std::string(statement.text(3))};
  record.chunks_file = {static_cast<std::uint64_t>(statement.integer(4)), std::string(statement.text(5))};
  record.rows = decode_rows(statement.blob(6), what);
  return record;
}

Segment::Segment(const fs::path& directory, SegmentRecord record, const KnowledgeBaseSchema& schema)
    : record_(std::move(record)),
      passage_width_(schema.passage_width),
      chunk_width_(schema.chunk_width),
      vector_format_(schema.vector_format),
      passages_file_(open_file(passages_path(directory, number()), record_.passages_file)),
      chunks_file_(open_file(chunks_path(directory, number()), record_.chunks_file)) {
  const bool wants_passages = passage_width_ > 0 && rows().size() > 0;
  const bool wants_chunks = chunk_width_ > 0 && rows().chunks() > 0;
  if (wants_passages != (passages_file_ != nullptr) || wants_chunks != (chunks_file_ != nullptr)) {
    throw Error(ErrorCode::kCorrupt,
                message((directory / "meta.db").string(), ": the files of segment ", number(), " do not fit its rows"));
  }
}

std::optional<std::size_t> Segment::row_of(std::int64_t passage) const {
  const std::vector<std::int64_t>& passages = rows().passages;
  const auto found = std::ranges::lower_bound(passages, passage);
  if (found == passages.end() || *found != passage) {
    return std::nullopt;
  }
  return static_cast<std::size_t>(found - passages.begin());
}

const PassageIndex* Segment::passage_index() const {
  if (passages_file_ == nullptr) {
    return nullptr;
  }
  const std::lock_guard lock(mutex_);
  if (passage_index_ == nullptr) {
    passage_index_ =
        std::make_unique<const PassageIndex>(passages_file_, record_.passage_index, passage_width_, rows().size());
  }
  return passage_index_.get();
}

const ChunkVectors* Segment::chunk_vectors() const {
  if (chunks_file_ == nullptr) {
    return nullptr;
  }
  const std::lock_guard lock(mutex_);
  if (chunk_vectors_ == nullptr) {
    chunk_vectors_ = std::make_unique<const ChunkVectors>(chunks_file_, chunk_width_, vector_format_, rows().chunks());
  }
  return chunk_vectors_.get();
}

SegmentWriter::SegmentWriter(const fs::path& directory, const KnowledgeBaseSchema& schema, SegmentRecord record,
                             std::span<const float> passage_vectors)
    : directory_(directory), record_(std::move(record)) {
  fail_point("store.before_files");
  if (schema.passage_width > 0 && record_.rows.size() > 0) {
    passages_.emplace(passages_path(directory, record_.number));
    write_passage_index(*passages_, record_.passage_index, passage_vectors, schema.passage_width);
    record_.passages_file = passages_->finish();
    fail_point("store.after_passages_file");
  }
}

ChunkVectorsWriter& SegmentWriter::begin_chunks(const ChunkCodec& codec) {
  chunks_.emplace(chunks_path(directory_, record_.number));
  return chunk_vectors_.emplace(*chunks_, codec, record_.rows.chunks());
}

const SegmentRecord& SegmentWriter::finish() {
  if (chunks_) {
    record_.chunks_file = chunks_->finish();
  }
  fail_point("store.after_chunks_file");
  if (passages_) {
    passages_->rename_to_final();
  }
  fail_point("store.between_renames");
  if (chunks_) {
    chunks_->rename_to_final();
  }
  fail_point("store.after_renames");
  sync_directory(directory_ / "segments");
  return record_;
}

void SegmentWriter::keep() {
  if (passages_) {
    passages_->keep();
  }
  if (chunks_) {
    chunks_->keep();
  }
}

}  // namespace refrag

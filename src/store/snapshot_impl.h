#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "store/document_rows.h"
#include "store/meta_schema.h"
#include "store/reader_lease.h"
#include "store/row_set.h"
#include "store/segment.h"
#include "store/snapshot.h"
#include "store/sqlite.h"

namespace refrag {

/// What a knowledge base and its snapshots share; the last of them closes it.
struct OpenStore {
  explicit OpenStore(std::filesystem::path where)
      : directory(std::move(where)), pool(directory / "meta.db"), schema(read_schema(*pool.borrow())) {}

  std::filesystem::path directory;
  ConnectionPool pool;
  KnowledgeBaseSchema schema;
};

class Snapshot::Impl {
 public:
  struct LiveSegment {
    std::shared_ptr<const Segment> segment;
    std::shared_ptr<const RowSet> live;
  };

  /// The state at the newest commit. Segments and tombstones that `previous` (may be null) knows are taken from it.
  static std::shared_ptr<const Impl> load(const std::shared_ptr<OpenStore>& store,
                                          const std::shared_ptr<const Impl>& previous);

  Impl(std::shared_ptr<OpenStore> store, ReaderLease lease, std::vector<LiveSegment> segments);

  std::vector<ScoredPassage> search_dense(std::span<const float> query, std::size_t count,
                                          const Metadata& filter) const;
  std::vector<ScoredPassage> search_lexical(std::string_view query, std::size_t count, const Metadata& filter) const;
  StoredPassage passage(Connection& connection, const PassageKey& key) const;
  const Segment& segment_of(const PassageKey& key) const;

  std::int64_t generation() const { return lease_.generation(); }
  const std::vector<LiveSegment>& segments() const { return segments_; }  // by number
  OpenStore& store() const { return *store_; }
  std::size_t passage_count() const { return passage_count_; }
  /// Whether any of the passages stands in a segment, live or not.
  bool holds_any(PassageRange passages) const;

 private:
  std::vector<RowSet> allowed_rows(Connection& connection, const Metadata& filter) const;
  std::optional<std::size_t> segment_index(std::int64_t number) const;

  std::shared_ptr<OpenStore> store_;
  ReaderLease lease_;  // keeps the rows of what died later in meta.db
  std::vector<LiveSegment> segments_;
  std::size_t passage_count_ = 0;
};

}  // namespace refrag

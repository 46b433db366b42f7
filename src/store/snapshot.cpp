#include "store/snapshot.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <string>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"
#include "store/lexical_query.h"
#include "store/snapshot_impl.h"

namespace refrag {
namespace {

// A title says in few words what a passage is about.
constexpr const char* kLexicalSearch =
    "SELECT rowid, bm25(passage_words, 2.0, 1.0) FROM passage_words WHERE passage_words MATCH ?";

bool is_better(const ScoredPassage& a, const ScoredPassage& b) {
  return a.score != b.score ? a.score > b.score : a.key < b.key;
}

/// The best of what it is shown; equal scores in the order of their keys, so that results are the same every time.
class BestPassages {
 public:
  explicit BestPassages(std::size_t count) : count_(count) {}

  void offer(const ScoredPassage& candidate) {
    if (worst_first_.size() < count_) {
      worst_first_.push(candidate);
    } else if (count_ > 0 && is_better(candidate, worst_first_.top())) {
      worst_first_.pop();
      worst_first_.push(candidate);
    }
  }
  std::vector<ScoredPassage> take() {
    std::vector<ScoredPassage> best(worst_first_.size());
    for (std::size_t i = best.size(); i-- > 0;) {
      best[i] = worst_first_.top();
      worst_first_.pop();
    }
    return best;
  }

 private:
  std::size_t count_;
  std::priority_queue<ScoredPassage, std::vector<ScoredPassage>, decltype(&is_better)> worst_first_{is_better};
};

using LiveSegment = Snapshot::Impl::LiveSegment;

/// Calls `visit(segment index, row)` for each of the passages that stands in a segment.
template <typename Visit>
void for_each_row(const std::vector<LiveSegment>& segments, PassageRange passages, const Visit& visit) {
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const std::vector<std::int64_t>& numbers = segments[i].segment->rows().passages;
    // A document's passages stand in neighbouring rows: find the first, then go on.
    auto row = static_cast<std::size_t>(std::ranges::lower_bound(numbers, passages.first) - numbers.begin());
    // Unsigned: a damaged word index may hold any number, and the difference must not overflow.
    const auto is_in = [&passages](std::int64_t number) {
      return static_cast<std::uint64_t>(number) - static_cast<std::uint64_t>(passages.first) <
             static_cast<std::uint64_t>(passages.count);
    };
    for (; row < numbers.size() && is_in(numbers[row]); ++row) {
      visit(i, row);
    }
  }
}

/// What meta.db says at one commit.
struct Contents {
  StoreState state;
  std::vector<std::int64_t> numbers;
  std::vector<SegmentRecord> new_segments;
  std::vector<PassageRange> new_dead;
};

const LiveSegment* find_segment(const Snapshot::Impl* snapshot, std::int64_t number) {
  if (snapshot == nullptr) {
    return nullptr;
  }
  const auto found = std::ranges::lower_bound(snapshot->segments(), number, {},
                                              [](const LiveSegment& live) { return live.segment->number(); });
  return found != snapshot->segments().end() && found->segment->number() == number ? &*found : nullptr;
}

Contents read_contents(Connection& connection, const Snapshot::Impl* previous) {
  const Transaction transaction(connection, Transaction::Kind::kRead);
  Contents contents;
  contents.state = read_state(connection);
  contents.numbers = segment_numbers(connection);
  for (const std::int64_t number : contents.numbers) {
    if (find_segment(previous, number) == nullptr) {
      contents.new_segments.push_back(read_segment(connection, number));
    }
  }
  // A segment is born without dead rows, so deaths since the previous snapshot are all that is new to any of them.
  contents.new_dead = dead_passages(connection, previous == nullptr ? 0 : previous->generation());
  return contents;
}

std::vector<LiveSegment> open_segments(const OpenStore& store, Contents& contents, const Snapshot::Impl* previous) {
  std::vector<LiveSegment> segments;
  auto next_new = contents.new_segments.begin();
  for (const std::int64_t number : contents.numbers) {
    if (const LiveSegment* known = find_segment(previous, number)) {
      segments.push_back(*known);
    } else {
      auto segment = std::make_shared<const Segment>(store.directory, std::move(*next_new++), store.schema);
      auto live = std::make_shared<const RowSet>(RowSet::all(segment->rows().size()));
      segments.push_back({std::move(segment), std::move(live)});
    }
  }
  return segments;
}

void apply_deaths(std::vector<LiveSegment>& segments, const std::vector<PassageRange>& dead) {
  std::vector<std::shared_ptr<RowSet>> changed(segments.size());  // copies: other snapshots hold the originals
  for (const PassageRange& passages : dead) {
    for_each_row(segments, passages, [&](std::size_t i, std::size_t row) {
      if (changed[i] == nullptr) {
        changed[i] = std::make_shared<RowSet>(*segments[i].live);
      }
      changed[i]->erase(row);
    });
  }
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (changed[i] != nullptr) {
      segments[i].live = std::move(changed[i]);
    }
  }
}

}  // namespace

std::shared_ptr<const Snapshot::Impl> Snapshot::Impl::load(const std::shared_ptr<OpenStore>& store,
                                                           const std::shared_ptr<const Impl>& previous) {
  const ConnectionPool::Loan connection = store->pool.borrow();
  // Between reading the tables and opening files, a merge may remove those files; between reading and taking the lease,
  // rows may be purged. Both show, and then there is a newer commit to read. Each turn means that a writer went on.
  while (true) {
    Contents contents = read_contents(*connection, previous.get());
    const auto is_outdated = [&] { return read_state(*connection).generation != contents.state.generation; };
    std::vector<LiveSegment> segments;
    try {
      segments = open_segments(*store, contents, previous.get());
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) {
        throw;
      }
      if (!is_outdated()) {
        throw Error(ErrorCode::kCorrupt, message("a file that meta.db names is missing: ", error.what()));
      }
      continue;
    }
    apply_deaths(segments, contents.new_dead);
    std::optional<ReaderLease> lease = ReaderLease::share(store->directory / "readers", contents.state.generation);
    if (lease && read_state(*connection).purged <= contents.state.generation) {
      return std::make_shared<const Impl>(store, *std::move(lease), std::move(segments));
    }
  }
}

Snapshot::Impl::Impl(std::shared_ptr<OpenStore> store, ReaderLease lease, std::vector<LiveSegment> segments)
    : store_(std::move(store)), lease_(std::move(lease)), segments_(std::move(segments)) {
  for (const LiveSegment& segment : segments_) {
    passage_count_ += segment.live->count();
  }
}

std::optional<std::size_t> Snapshot::Impl::segment_index(std::int64_t number) const {
  const LiveSegment* found = find_segment(this, number);
  return found == nullptr ? std::nullopt : std::optional(static_cast<std::size_t>(found - segments_.data()));
}

const Segment& Snapshot::Impl::segment_of(const PassageKey& key) const {
  const std::optional<std::size_t> index = segment_index(key.segment);
  if (!index || key.row < 0 || !segments_[*index].live->contains(static_cast<std::size_t>(key.row))) {
    throw Error(ErrorCode::kInternal, message("passage ", key.segment, ":", key.row,
                                              " is not in this snapshot (generation ", generation(), ")"));
  }
  return *segments_[*index].segment;
}

bool Snapshot::Impl::holds_any(PassageRange passages) const {
  bool any = false;
  for_each_row(segments_, passages, [&any](std::size_t, std::size_t) { any = true; });
  return any;
}

std::vector<RowSet> Snapshot::Impl::allowed_rows(Connection& connection, const Metadata& filter) const {
  std::vector<RowSet> allowed;
  for (const LiveSegment& segment : segments_) {
    allowed.push_back(*segment.live);
  }
  for (const auto& [name, value] : filter) {
    std::vector<RowSet> equal;
    equal.reserve(allowed.size());
    for (const RowSet& rows : allowed) {
      equal.emplace_back(rows.rows());
    }
    for (const PassageRange& passages : passages_with(connection, name, value)) {
      for_each_row(segments_, passages, [&](std::size_t i, std::size_t row) { equal[i].insert(row); });
    }
    for (std::size_t i = 0; i < allowed.size(); ++i) {
      allowed[i].keep_common(equal[i]);
    }
  }
  return allowed;
}

std::vector<ScoredPassage> Snapshot::Impl::search_dense(std::span<const float> query, std::size_t count,
                                                        const Metadata& filter) const {
  const std::size_t width = store_->schema.passage_width;
  if (width == 0) {
    throw Error(ErrorCode::kUnsupported, "this knowledge base has no passage vectors, so no dense search");
  }
  if (query.size() != width) {
    throw Error(ErrorCode::kInvalidArgument,
                message("the query vector has ", query.size(), " floats; expected ", width), "query");
  }
  if (!std::ranges::all_of(query, [](float value) { return std::isfinite(value); })) {
    throw Error(ErrorCode::kInvalidArgument, "the query vector holds a value that is not finite", "query");
  }
  const std::vector<RowSet> allowed = allowed_rows(*store_->pool.borrow(), filter);
  BestPassages best(count);
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    const PassageIndex* index = allowed[i].count() == 0 ? nullptr : segments_[i].segment->passage_index();
    if (index == nullptr) {
      continue;
    }
    for (const auto& [score, row] : index->search(query, count, allowed[i])) {
      best.offer({{segments_[i].segment->number(), static_cast<std::int64_t>(row)}, score});
    }
  }
  return best.take();
}

std::vector<ScoredPassage> Snapshot::Impl::search_lexical(std::string_view query, std::size_t count,
                                                          const Metadata& filter) const {
  const ConnectionPool::Loan connection = store_->pool.borrow();
  const std::string words = lexical_query(*connection, query, passage_count_);
  BestPassages best(count);
  if (words.empty() || count == 0) {
    return {};
  }
  const std::vector<RowSet> allowed = allowed_rows(*connection, filter);
  Statement statement(*connection, kLexicalSearch);
  statement.bind(1, std::string_view(words));
  while (statement.step()) {
    for_each_row(segments_, {statement.integer(0), 1}, [&](std::size_t i, std::size_t row) {
      if (allowed[i].contains(row)) {
        // SQLite's bm25 is lower for better matches.
        best.offer({{segments_[i].segment->number(), static_cast<std::int64_t>(row)}, -statement.number(1)});
      }
    });
  }
  return best.take();
}

StoredPassage Snapshot::Impl::passage(Connection& connection, const PassageKey& key) const {
  const SegmentRows& rows = segment_of(key).rows();
  const auto row = static_cast<std::size_t>(key.row);
  StoredPassage stored = read_passage(connection, rows.passages[row]);
  stored.key = key;
  if (stored.chunks.size() != rows.first_chunk[row + 1] - rows.first_chunk[row]) {
    throw Error(ErrorCode::kCorrupt, message((store_->directory / "meta.db").string(), ": passage ", stored.passage_id,
                                             " has ", stored.chunks.size(), " chunks; its segment has ",
                                             rows.first_chunk[row + 1] - rows.first_chunk[row]));
  }
  return stored;
}

std::vector<ScoredPassage> Snapshot::search_dense(std::span<const float> query, std::size_t count,
                                                  const Metadata& filter) const {
  return impl_->search_dense(query, count, filter);
}

std::vector<ScoredPassage> Snapshot::search_lexical(std::string_view query, std::size_t count,
                                                    const Metadata& filter) const {
  return impl_->search_lexical(query, count, filter);
}

std::vector<StoredPassage> Snapshot::passages(std::span<const PassageKey> keys) const {
  const ConnectionPool::Loan connection = impl_->store().pool.borrow();
  std::vector<StoredPassage> passages;
  passages.reserve(keys.size());
  for (const PassageKey& key : keys) {
    passages.push_back(impl_->passage(*connection, key));
  }
  return passages;
}

std::vector<float> Snapshot::chunk_vectors(const PassageKey& key) const {
  const Segment& segment = impl_->segment_of(key);
  const std::vector<std::uint32_t>& first = segment.rows().first_chunk;
  const auto row = static_cast<std::size_t>(key.row);
  const ChunkVectors* vectors = segment.chunk_vectors();
  return vectors == nullptr ? std::vector<float>() : vectors->decode(first[row], first[row + 1] - first[row]);
}

std::vector<float> Snapshot::passage_vector(const PassageKey& key) const {
  const PassageIndex* index = impl_->segment_of(key).passage_index();
  return index == nullptr ? std::vector<float>() : index->vector(static_cast<std::size_t>(key.row));
}

std::size_t Snapshot::passage_count() const { return impl_->passage_count(); }
const KnowledgeBaseSchema& Snapshot::schema() const { return impl_->store().schema; }

}  // namespace refrag

#include "refrag/knowledge_base.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/fail_point.h"
#include "base/files.h"
#include "base/log.h"
#include "base/message.h"
#include "store/batch.h"
#include "store/batch_check.h"
#include "store/document_rows.h"
#include "store/merge_policy.h"
#include "store/segment_merge.h"
#include "store/snapshot_impl.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;

fs::path meta_path(const fs::path& directory) { return directory / "meta.db"; }
fs::path segments_path(const fs::path& directory) { return directory / "segments"; }
fs::path lock_path(const fs::path& directory) { return directory / "lock"; }

/// What a crash in create() may leave: not yet a knowledge base.
bool is_leftover(const fs::path& entry) {
  const std::string name = entry.filename().string();
  return name == "lock" || name == "segments" || name.starts_with("meta.db.tmp");
}

void make_directory(const fs::path& directory) {
  try {
    const bool is_file = fs::exists(directory) && !fs::is_directory(directory);
    const bool is_free = !is_file && (!fs::exists(directory) ||
                                      std::ranges::all_of(fs::directory_iterator(directory),
                                                          [](const auto& entry) { return is_leftover(entry.path()); }));
    if (!is_free) {
      throw Error(ErrorCode::kInvalidArgument,
                  message(directory.string(), " exists; expected a new or an empty directory"), "directory");
    }
    fs::create_directories(segments_path(directory));
  } catch (const fs::filesystem_error& error) {
    throw Error(ErrorCode::kIo, message("cannot create ", directory.string(), ": ", error.code().message()));
  }
}

FileLock lock_directory(const fs::path& directory) {
  std::optional<FileLock> lock = FileLock::try_acquire(lock_path(directory));
  if (!lock) {
    throw Error(ErrorCode::kBusy, message(directory.string(),
                                          " is being written by another writer, such as `refrag index` or a server; "
                                          "try again when it has finished"));
  }
  return *std::move(lock);
}

/// Removes files that no row names: what a crashed writer left. Only for who holds the writer lock, since the files of
/// a commit under way have no rows yet either.
void remove_strays(const OpenStore& store, const std::vector<std::int64_t>& numbers) {
  std::set<fs::path> known;
  for (const std::int64_t number : numbers) {
    known.insert(passages_path(store.directory, number));
    known.insert(chunks_path(store.directory, number));
  }
  std::error_code ignored;  // what cannot be removed now does no harm and is tried again at the next open
  for (const fs::directory_entry& entry : fs::directory_iterator(segments_path(store.directory), ignored)) {
    if (!known.contains(entry.path())) {
      fs::remove(entry.path(), ignored);
    }
  }
}

std::uint64_t size_of(const fs::path& path) {
  std::error_code error;
  const std::uintmax_t size = fs::file_size(path, error);
  return error ? 0 : size;
}

}  // namespace

/// One use of the writer's file lock, which all uses by one knowledge base share.
class KnowledgeBase::WriterLock {
 public:
  struct Shared {
    explicit Shared(fs::path where) : directory(std::move(where)) {}

    fs::path directory;
    std::mutex mutex;
    std::size_t uses = 0;          // guarded by mutex
    std::optional<FileLock> file;  // guarded by mutex; held while uses > 0

    bool is_used() {
      const std::lock_guard lock(mutex);
      return uses > 0;
    }
  };

  explicit WriterLock(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->uses == 0) {
      shared_->file = lock_directory(shared_->directory);
    }
    ++shared_->uses;
  }
  WriterLock(const WriterLock&) = delete;
  WriterLock& operator=(const WriterLock&) = delete;
  ~WriterLock() {
    const std::lock_guard lock(shared_->mutex);
    if (--shared_->uses == 0) {
      shared_->file.reset();
    }
  }

 private:
  std::shared_ptr<Shared> shared_;
};

class KnowledgeBase::Impl {
 public:
  explicit Impl(const fs::path& directory)
      : store_(std::make_shared<OpenStore>(directory)),
        poll_(meta_path(directory), Connection::Mode::kRead),
        writer_lock_(std::make_shared<WriterLock::Shared>(directory)),
        writer_(meta_path(directory), Connection::Mode::kWrite) {
    if (const std::optional<FileLock> lock = FileLock::try_acquire(lock_path(directory))) {
      remove_strays(*store_, segment_numbers(writer_));
    }
    snapshot();
  }

  OpenStore& store() const { return *store_; }

  std::shared_ptr<const Snapshot::Impl> snapshot() {
    const std::lock_guard lock(snapshot_mutex_);
    const std::int64_t version = poll_.integer("PRAGMA data_version");  // changes with every commit of any other
    if (newest_ == nullptr || version != newest_version_) {
      newest_ = Snapshot::Impl::load(store_, newest_);
      newest_version_ = version;
    }
    return newest_;
  }

  std::shared_ptr<WriterLock> lock_for_writing() {
    const std::lock_guard turn(write_mutex_);  // a commit of another thread ends soon
    if (writer_lock_->is_used()) {
      throw Error(ErrorCode::kBusy, message(store_->directory.string(),
                                            " is being written by this process; try again when it has finished"));
    }
    return std::make_shared<WriterLock>(writer_lock_);
  }

  void commit(const Batch& batch) {
    check_batch(batch, store_->schema);
    const Writing writing(*this);
    if (!batch.documents.empty() || !batch.removed.empty()) {
      write(batch);
      tidy_up();
    }
  }

  std::size_t remove(const std::vector<std::string>& ids) {
    const Writing writing(*this);
    const std::size_t removed = write({{}, ids});
    tidy_up();
    return removed;
  }

  void merge() {
    const Writing writing(*this);
    for (const std::vector<std::int64_t>& group : policy().pick_all(segment_sizes())) {
      fold(group);
    }
    purge();
  }

 private:
  /// The writer's part of the time: other threads wait, other processes get kBusy.
  class Writing {
   public:
    explicit Writing(Impl& impl) : turn_(impl.write_mutex_), lock_(impl.writer_lock_) {}

   private:
    std::lock_guard<std::mutex> turn_;
    WriterLock lock_;
  };

  /// One commit. Returns how many of the removed ids were there.
  std::size_t write(const Batch& batch) {
    StoreState state = read_state(writer_);
    ++state.generation;
    std::optional<SegmentWriter> files;  // 1. to 3.: written, fsynced, renamed, names durable
    std::optional<SegmentRecord> segment = write_segment(batch, state, files);
    fail_point("store.before_transaction");
    Transaction transaction(writer_, Transaction::Kind::kWrite);  // 4. all rows in one transaction
    std::size_t removed = 0;
    for (const std::string& id : batch.removed) {
      removed += bury_document(writer_, id, state) ? 1U : 0U;
    }
    for (const DocumentRecord& record : batch.documents) {
      bury_document(writer_, record.document.id, state);
      insert_document(writer_, record, state);
    }
    if (segment) {
      insert_segment(writer_, *segment);
      ++state.next_segment;
    }
    write_state(writer_, state);
    fail_point("store.in_transaction");
    if (files) {
      files->keep();  // should COMMIT fail half-way, it is not ours to say that the rows are not there
    }
    transaction.commit();  // the commit point
    fail_point("store.after_commit");
    return removed;
  }

  std::optional<SegmentRecord> write_segment(const Batch& batch, const StoreState& state,
                                             std::optional<SegmentWriter>& files) {
    SegmentRows rows;
    for (const DocumentRecord& record : batch.documents) {
      for (const PassageRecord& passage : record.passages) {
        rows.add(state.next_passage + static_cast<std::int64_t>(rows.size()), passage.chunks.size());
      }
    }
    if (rows.size() == 0) {
      return std::nullopt;
    }
    return write_batch_segment(*store_, state.next_segment, state.generation, std::move(rows), batch, files);
  }

  /// After a commit: shows it to this process's readers and merges where that is due. The commit stands whatever
  /// happens here; a merge that fails is tried again after the next one.
  void tidy_up() {
    try {
      std::vector<std::int64_t> due;
      while (!(due = policy().pick(segment_sizes())).empty()) {
        fold(due);
        has_dropped_ = true;
      }
      if (std::exchange(has_dropped_, false)) {
        purge();
      }
    } catch (const std::exception& error) {  // of FAISS and the library too
      log_warning(
          message("the commit to ", store_->directory.string(), " is done, but tidying up failed: ", error.what()));
    }
  }

  MergePolicy policy() const {
    MergePolicy policy;
    // A merge holds the passage vectors it writes in memory: 256 MiB of them at most.
    constexpr std::size_t kMostBytes = std::size_t{256} << 20;
    const std::size_t row_bytes = sizeof(float) * std::max<std::size_t>(store_->schema.passage_width, 1);
    policy.most_rows = std::min(policy.most_rows, kMostBytes / row_bytes);
    return policy;
  }

  std::vector<SegmentSize> segment_sizes() {
    std::vector<SegmentSize> sizes;
    for (const Snapshot::Impl::LiveSegment& live : snapshot()->segments()) {
      sizes.push_back({live.segment->number(), live.segment->rows().size(), live.live->count()});
    }
    return sizes;
  }

  /// Replaces segments by one that holds their live rows.
  void fold(const std::vector<std::int64_t>& numbers) {
    const std::shared_ptr<const Snapshot::Impl> before = snapshot();
    StoreState state = read_state(writer_);
    ++state.generation;
    SegmentMerge merge(*before, numbers);
    std::optional<SegmentWriter> files;
    const std::optional<SegmentRecord> folded = merge.write(state.next_segment, state.generation, files);
    fail_point("store.merge.before_transaction");
    Transaction transaction(writer_, Transaction::Kind::kWrite);
    for (const std::int64_t number : numbers) {
      delete_segment(writer_, number);
    }
    if (folded) {
      insert_segment(writer_, *folded);
      ++state.next_segment;
    }
    state.dead_chunks -= static_cast<std::int64_t>(merge.dropped_chunks());
    write_state(writer_, state);
    fail_point("store.merge.in_transaction");
    if (files) {
      files->keep();
    }
    transaction.commit();
    fail_point("store.merge.after_commit");
    for (const std::int64_t number : numbers) {  // readers that hold them keep their mappings
      std::error_code ignored;
      fs::remove(passages_path(store_->directory, number), ignored);
      fs::remove(chunks_path(store_->directory, number), ignored);
    }
  }

  /// Deletes the rows of dead documents that stand in no segment and that no reader of any process needs.
  void purge() {
    const std::shared_ptr<const Snapshot::Impl> now = snapshot();
    const ReaderLease alone = ReaderLease::own_before(store_->directory / "readers", now->generation());
    Transaction transaction(writer_, Transaction::Kind::kWrite);
    StoreState state = read_state(writer_);
    purge_documents(writer_, alone.generation(), [&now](PassageRange passages) { return now->holds_any(passages); });
    state.purged = std::max(state.purged, alone.generation());
    write_state(writer_, state);
    fail_point("store.purge.in_transaction");
    transaction.commit();
  }

  std::shared_ptr<OpenStore> store_;

  std::mutex snapshot_mutex_;
  Connection poll_;                               // guarded by snapshot_mutex_
  std::int64_t newest_version_ = 0;               // guarded by snapshot_mutex_; data_version at which newest_ was read
  std::shared_ptr<const Snapshot::Impl> newest_;  // guarded by snapshot_mutex_

  std::shared_ptr<WriterLock::Shared> writer_lock_;

  std::mutex write_mutex_;
  Connection writer_;         // guarded by write_mutex_
  bool has_dropped_ = false;  // guarded by write_mutex_; a merge is done whose dead documents await the purge
};

KnowledgeBase::KnowledgeBase(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
KnowledgeBase::~KnowledgeBase() = default;

std::shared_ptr<KnowledgeBase> KnowledgeBase::create(const fs::path& directory, const KnowledgeBaseSchema& schema) {
  make_directory(directory);
  {
    const FileLock lock = lock_directory(directory);
    make_directory(directory);  // another may have been quicker
    const fs::path temporary = meta_path(directory) += ".tmp";
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
      std::error_code ignored;  // what cannot be removed cannot be replaced either, which then says why
      fs::remove(fs::path(temporary) += suffix, ignored);
    }
    {
      Connection connection(temporary, Connection::Mode::kCreate);
      create_tables(connection, schema);
    }  // closing it moves the log into the file
    fail_point("store.create.before_rename");
    std::error_code error;
    fs::rename(temporary, meta_path(directory), error);
    if (error) {
      throw Error(ErrorCode::kIo, message("cannot rename ", temporary.string(), ": ", error.message()));
    }
    sync_directory(directory);
    sync_directory(fs::absolute(directory / "").parent_path().parent_path());  // with or without a last slash
  }
  return open(directory);
}

std::shared_ptr<KnowledgeBase> KnowledgeBase::open(const fs::path& directory) {
  if (!exists(directory)) {
    throw Error(ErrorCode::kNotFound, message("there is no knowledge base at ", directory.string()));
  }
  return std::shared_ptr<KnowledgeBase>(new KnowledgeBase(std::make_unique<Impl>(directory)));
}

bool KnowledgeBase::exists(const fs::path& directory) {
  std::error_code error;
  return fs::is_regular_file(meta_path(directory), error);
}

const fs::path& KnowledgeBase::directory() const { return impl_->store().directory; }
const KnowledgeBaseSchema& KnowledgeBase::schema() const { return impl_->store().schema; }

KnowledgeBaseStats KnowledgeBase::stats() const {
  const std::shared_ptr<const Snapshot::Impl> snapshot = impl_->snapshot();
  const StoreState state = read_state(*impl_->store().pool.borrow());
  KnowledgeBaseStats stats;
  stats.documents = static_cast<std::size_t>(state.documents);
  stats.passages = static_cast<std::size_t>(state.passages);
  stats.chunks = static_cast<std::size_t>(state.chunks);
  stats.tokens = static_cast<std::size_t>(state.tokens);
  stats.dead_rows = static_cast<std::uint64_t>(state.dead_chunks);
  stats.segments = snapshot->segments().size();
  for (const Snapshot::Impl::LiveSegment& live : snapshot->segments()) {
    stats.vector_bytes += live.segment->file_bytes();
  }
  const fs::path meta = meta_path(directory());
  stats.metadata_bytes = size_of(meta) + size_of(fs::path(meta) += "-wal");
  stats.schema = schema();
  return stats;
}

std::optional<StoredDocument> KnowledgeBase::get(const std::string& id) const {
  return read_document(*impl_->store().pool.borrow(), id);
}

DocumentPage KnowledgeBase::list(const std::string& after, std::size_t limit) const {
  return list_documents(*impl_->store().pool.borrow(), after, limit);
}

std::size_t KnowledgeBase::remove(const std::vector<std::string>& ids) { return impl_->remove(ids); }
void KnowledgeBase::merge() { impl_->merge(); }
Snapshot KnowledgeBase::snapshot() const { return Snapshot(impl_->snapshot()); }
void KnowledgeBase::commit(const Batch& batch) { impl_->commit(batch); }

std::vector<std::string> KnowledgeBase::content_hashes(const std::vector<std::string>& ids) const {
  const ConnectionPool::Loan connection = impl_->store().pool.borrow();
  const Transaction transaction(*connection, Transaction::Kind::kRead);
  std::vector<std::string> hashes;
  hashes.reserve(ids.size());
  for (const std::string& id : ids) {
    hashes.push_back(read_content_hash(*connection, id));
  }
  return hashes;
}

std::shared_ptr<KnowledgeBase::WriterLock> KnowledgeBase::lock_for_writing() { return impl_->lock_for_writing(); }

}  // namespace refrag

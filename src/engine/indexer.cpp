#include "refrag/indexer.h"

#include <algorithm>
#include <mutex>
#include <span>
#include <unordered_map>
#include <utility>

#include "base/message.h"
#include "engine/identity.h"
#include "engine/index_plan.h"
#include "engine/model_runner.h"
#include "refrag/error.h"
#include "text/reader_paths.h"

namespace refrag {
namespace {

constexpr std::size_t kMaxBatchBytes = 4u << 20;  // of text: bounds the vectors that are held at once
constexpr std::size_t kMaxProblems = 10'000;

PassageOptions passage_options(const IndexOptions& options, const ModelInfo& model) {
  PassageOptions result;
  result.passage_tokens = options.passage_tokens > 0 ? options.passage_tokens : model.passage_tokens;
  result.overlap_tokens = options.overlap_tokens;
  result.chunk_size = model.schema.chunk_size;
  if (result.overlap_tokens > result.passage_tokens / 2) {  // what the chunker would say of every document
    throw Error(ErrorCode::kInvalidArgument,
                message("overlap_tokens is ", result.overlap_tokens, "; expected at most half of passage_tokens (",
                        result.passage_tokens, ")"),
                "overlap_tokens");
  }
  if (options.batch_documents == 0) {
    throw Error(ErrorCode::kInvalidArgument, "batch_documents is 0; expected 1 or more", "batch_documents");
  }
  return result;
}

// The length of the first batch of `documents`: as many as allowed in number and bytes, at least one.
std::size_t batch_length(std::span<const Document> documents, std::size_t max_documents) {
  std::size_t count = 0;
  std::size_t bytes = 0;
  while (count < std::min(documents.size(), max_documents) && (count == 0 || bytes < kMaxBatchBytes)) {
    bytes += documents[count++].text.size();
  }
  return count;
}

/// Documents that were read and wait for their batch, each with the place it was read at.
class Inbox {
 public:
  void add(ReadResult&& read) {
    bytes_ += read.document.text.size();
    documents_.push_back(std::move(read.document));
    places_.push_back(std::move(read.where));
  }
  bool is_empty() const { return documents_.empty(); }
  bool is_full(std::size_t max_documents) const {
    return documents_.size() >= max_documents || bytes_ >= kMaxBatchBytes;
  }
  std::span<const Document> documents() const { return documents_; }
  const std::string& place(std::size_t n) const { return places_[n]; }
  void clear() { *this = Inbox(); }

 private:
  std::vector<Document> documents_;
  std::vector<std::string> places_;
  std::size_t bytes_ = 0;
};

void add_problem(IndexReport& report, const std::string& id, const std::string& where, const std::string& reason) {
  ++report.totals.errors;
  if (report.problems.size() < kMaxProblems) {
    report.problems.push_back({.id = id, .status = DocumentStatus::kError, .error = message(where, ": ", reason)});
  }
}

void add_results(IndexReport& report, const IndexPlan& plan, const Inbox& inbox) {
  report.totals.passages += plan.passages;
  report.totals.chunks += plan.chunks;
  for (std::size_t n = 0; n < plan.results.size(); ++n) {
    const DocumentResult& result = plan.results[n];
    switch (result.status) {
      case DocumentStatus::kCreated:
        ++report.totals.created;
        break;
      case DocumentStatus::kReplaced:
        ++report.totals.replaced;
        break;
      case DocumentStatus::kUnchanged:
        ++report.totals.unchanged;
        break;
      case DocumentStatus::kError:
        add_problem(report, result.id, inbox.place(n), result.error);
        break;
    }
  }
}

/// False where it is not known how many there are.
bool is_all_read(const IndexProgress& totals) {
  return totals.documents_expected > 0 && totals.documents >= totals.documents_expected;
}

/// The hashes a knowledge base would have in the course of a dry run.
class ImaginedHashes {
 public:
  explicit ImaginedHashes(const KnowledgeBase* base) : base_(base) {}
  std::vector<std::string> of(const std::vector<std::string>& ids) const {
    std::vector<std::string> hashes =
        base_ == nullptr ? std::vector<std::string>(ids.size()) : base_->content_hashes(ids);
    for (std::size_t n = 0; n < ids.size(); ++n) {
      if (const auto added = added_.find(ids[n]); added != added_.end()) {
        hashes[n] = added->second;
      }
    }
    return hashes;
  }
  void add(const IndexPlan& plan) {
    for (const CutDocument& document : plan.documents) {
      added_[document.record.document.id] = document.record.content_hash;
    }
  }

 private:
  const KnowledgeBase* base_;
  std::unordered_map<std::string, std::string> added_;  // by id
};

using OnProgress = std::function<bool(const IndexProgress&)>;
using ShouldStop = std::function<bool()>;
using TakeBatch = std::function<IndexPlan(std::span<const Document>)>;

}  // namespace

class Indexer::Impl {
 public:
  Impl(std::shared_ptr<ModelRunner> runner, std::shared_ptr<KnowledgeBase> base, const IndexOptions& options)
      : runner_(std::move(runner)),
        base_(std::move(base)),
        batch_documents_(options.batch_documents),
        passage_options_(passage_options(options, runner_->info())) {
    if (base_) {
      require_same_model(base_->schema(), runner_->info().schema);
    }
  }

  std::vector<DocumentResult> add(std::span<const Document> documents) {
    const std::lock_guard turn(writing_);
    const auto writer = require_base().lock_for_writing();
    std::vector<DocumentResult> results;
    while (!documents.empty()) {
      const auto batch = documents.first(batch_length(documents, batch_documents_));
      std::vector<DocumentResult> of_batch = store(batch).results;
      std::move(of_batch.begin(), of_batch.end(), std::back_inserter(results));
      documents = documents.subspan(batch.size());
    }
    return results;
  }

  IndexReport add_paths(const std::vector<std::filesystem::path>& paths, const OnProgress& on_progress,
                        const ShouldStop& should_stop) {
    const std::lock_guard turn(writing_);
    const auto writer = require_base().lock_for_writing();
    return read_in_batches(
        paths, [this](std::span<const Document> batch) { return store(batch); }, on_progress, should_stop);
  }

  IndexReport dry_run(const std::vector<std::filesystem::path>& paths, const OnProgress& on_progress,
                      const ShouldStop& should_stop) const {
    ImaginedHashes hashes(base_.get());
    const TakeBatch take = [&](std::span<const Document> batch) {
      IndexPlan plan = plan_with(batch, [&](const std::vector<std::string>& ids) { return hashes.of(ids); });
      hashes.add(plan);
      return plan;
    };
    return read_in_batches(paths, take, on_progress, should_stop);
  }

 private:
  KnowledgeBase& require_base() const {
    if (!base_) {
      throw Error(ErrorCode::kInvalidArgument, "this indexer has no knowledge base to write to; expected one");
    }
    return *base_;
  }

  IndexPlan plan_with(std::span<const Document> documents, const HashesOf& hashes) const {
    return plan_batch(documents, hashes, *runner_->info().tokenizer, passage_options_);
  }

  // Returns after the commit.
  IndexPlan store(std::span<const Document> documents) {
    IndexPlan plan =
        plan_with(documents, [this](const std::vector<std::string>& ids) { return base_->content_hashes(ids); });
    add_vectors(plan.documents, *runner_, base_->schema());
    Batch batch;
    for (CutDocument& document : plan.documents) {
      batch.documents.push_back(std::move(document.record));
    }
    if (!batch.documents.empty()) {
      base_->commit(batch);
    }
    return plan;
  }

  IndexReport read_in_batches(const std::vector<std::filesystem::path>& paths, const TakeBatch& take,
                              const OnProgress& on_progress, const ShouldStop& should_stop) const {
    IndexReport report;
    bool stopped = false;
    const auto tell = [&] {
      if (on_progress && !on_progress(report.totals)) {
        stopped = true;
      }
    };
    const auto stop = [&] {
      stopped = stopped || (should_stop && should_stop());
      return stopped;
    };
    Inbox inbox;
    const auto take_inbox = [&] {
      add_results(report, take(inbox.documents()), inbox);
      inbox.clear();
      tell();
    };
    const auto take_result = [&](ReadResult&& read) {
      ++report.totals.documents;
      if (!read.error.empty()) {
        add_problem(report, read.document.id, read.where, read.error);
        tell();
      } else {
        inbox.add(std::move(read));
      }
      if (inbox.is_full(batch_documents_)) {
        take_inbox();
      }
      return !stop();
    };
    report.totals.documents_expected = count_documents(paths, stop);
    if (!stopped) {
      read_paths(paths, {}, take_result, stop);
    }
    report.interrupted = stopped && !is_all_read(report.totals);
    if (!inbox.is_empty()) {
      take_inbox();
    }
    return report;
  }

  std::shared_ptr<ModelRunner> runner_;
  std::shared_ptr<KnowledgeBase> base_;  // null: dry runs alone
  std::size_t batch_documents_;
  PassageOptions passage_options_;
  std::mutex writing_;  // held while documents are added: one call at a time
};

Indexer::Indexer(std::shared_ptr<ModelRunner> runner, std::shared_ptr<KnowledgeBase> knowledge_base,
                 IndexOptions options)
    : impl_(std::make_unique<Impl>(std::move(runner), std::move(knowledge_base), options)) {}

Indexer::~Indexer() = default;

std::vector<DocumentResult> Indexer::add(const std::vector<Document>& documents) { return impl_->add(documents); }

IndexReport Indexer::add_paths(const std::vector<std::filesystem::path>& paths, const OnProgress& on_progress,
                               const ShouldStop& should_stop) {
  return impl_->add_paths(paths, on_progress, should_stop);
}

IndexReport Indexer::dry_run(const std::vector<std::filesystem::path>& paths, const OnProgress& on_progress,
                             const ShouldStop& should_stop) const {
  return impl_->dry_run(paths, on_progress, should_stop);
}

}  // namespace refrag

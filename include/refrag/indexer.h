#pragma once
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "refrag/document.h"
#include "refrag/export.h"
#include "refrag/knowledge_base.h"

namespace refrag {

class ModelBundle;
class ModelRunner;

struct IndexOptions {
  std::size_t passage_tokens = 0;    // budget of a passage, decoder tokens; 0: what the model was trained with
  std::size_t overlap_tokens = 0;    // repeated at the start of the next passage, whole sentences; at most half of it
  std::size_t batch_documents = 64;  // documents a commit, at least 1; a commit holds fewer where they are long
};

struct IndexProgress {
  std::size_t documents = 0;  // read so far
  std::size_t created = 0, replaced = 0, unchanged = 0, errors = 0;
  std::size_t passages = 0, chunks = 0;
  std::size_t documents_expected = 0;  // 0: not known (standard input, a pipe)
};

struct IndexReport {
  IndexProgress totals;
  std::vector<DocumentResult> problems;  // documents that were left out, with place and reason; the first 10,000
  bool interrupted = false;
};

/// Documents to passages, chunks and vectors, committed in batches: the one way into a knowledge base.
/// Thread-safe; calls that write run one at a time. Throws only refrag::Error.
class REFRAG_EXPORT Indexer {
 public:
  /// Throws kIdentityMismatch if the base was made by another encoder, kInvalidArgument for a wrong option.
  /// `knowledge_base` may be null: then only dry_run works, and every document counts as new.
  Indexer(std::shared_ptr<const ModelBundle> bundle, std::shared_ptr<KnowledgeBase> knowledge_base,
          IndexOptions options = {});
  Indexer(std::shared_ptr<ModelRunner> runner, std::shared_ptr<KnowledgeBase> knowledge_base,
          IndexOptions options = {});
  ~Indexer();

  /// Adds or replaces by id; unchanged content is skipped. One result a document, in order; of several with one id the
  /// last that can be stored is. Returns after the commit; a document that fails is reported and the rest goes in.
  /// Throws kBusy while another writer is at work.
  std::vector<DocumentResult> add(const std::vector<Document>& documents);

  /// Reads files and directories (walked; "-" is NDJSON on standard input) and adds what they hold, holding the writer
  /// lock for the whole run. `on_progress` after each commit and each file or line that cannot be read; false from it,
  /// or true from `should_stop`, stops once what was read so far is committed. `should_stop` is asked after each
  /// document, and 20 times a second while input is waited for.
  IndexReport add_paths(const std::vector<std::filesystem::path>& paths,
                        const std::function<bool(const IndexProgress&)>& on_progress = {},
                        const std::function<bool()>& should_stop = {});

  /// What add_paths would do: everything but encoding and writing. The functions as there.
  IndexReport dry_run(const std::vector<std::filesystem::path>& paths,
                      const std::function<bool(const IndexProgress&)>& on_progress = {},
                      const std::function<bool()>& should_stop = {}) const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace refrag

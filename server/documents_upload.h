#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "refrag/indexer.h"

namespace refrag::server {

/// Documents as they arrive, committed in batches so that an upload of any length needs little memory. One result a
/// document, in order. Used by one thread.
class DocumentsUpload {
 public:
  /// `check` throws where the upload should go no further. It is called before each document and each commit, and what
  /// it throws comes out; what was committed before stays.
  explicit DocumentsUpload(
      Indexer& indexer, std::function<void()> check = [] {})
      : indexer_(indexer), check_(std::move(check)) {}

  void check() const { check_(); }
  void add(Document document);  // may commit
  void reject(const std::string& id, const std::string& reason);
  /// Commits what is left. Throws what Indexer::add throws where nothing was committed before; later failures are told
  /// in the results of the documents concerned, as the rest is in.
  std::vector<DocumentResult> finish();

 private:
  void commit();

  Indexer& indexer_;
  std::function<void()> check_;
  std::vector<DocumentResult> results_;
  std::vector<Document> pending_;
  std::vector<std::size_t> places_;  // of pending documents in results_
  std::size_t pending_bytes_ = 0;
  bool has_committed_ = false;
};

/// Cuts bytes that come in pieces into lines, the last of which need not end. Lines over the limit are dropped as they
/// come and told by number.
class LineSplitter {
 public:
  LineSplitter(std::size_t max_bytes, std::function<void(std::size_t number, std::string_view line)> take,
               std::function<void(std::size_t number)> too_long)
      : max_bytes_(max_bytes), take_(std::move(take)), too_long_(std::move(too_long)) {}
  void feed(std::string_view bytes);
  void finish();

 private:
  void end_line();

  std::size_t max_bytes_;
  std::function<void(std::size_t, std::string_view)> take_;
  std::function<void(std::size_t)> too_long_;
  std::string line_;
  bool is_too_long_ = false;
  std::size_t number_ = 1;
};

/// NDJSON, one document a line; a bad line is a result with its number, and the next line goes on.
class NdjsonUpload {
 public:
  /// Each document gets of `metadata` what it does not have itself.
  NdjsonUpload(DocumentsUpload& upload, std::size_t max_line_bytes, Metadata metadata = {});
  void feed(std::string_view bytes) { lines_.feed(bytes); }
  void finish() { lines_.finish(); }

 private:
  LineSplitter lines_;
};

/// Files of a multipart/form-data body, each by its file name; the field "metadata" (a JSON object) belongs to all
/// documents in them, the field "id" names a single one. Throws kInvalidArgument for the form, not for a file in it.
void upload_form(DocumentsUpload& upload, std::string_view content_type, std::string_view body);

}  // namespace refrag::server

#include "engine/index_plan.h"

#include <unordered_map>
#include <utility>

#include "refrag/error.h"

namespace refrag {
namespace {

/// A document that can be stored, and its place in the batch.
struct Storable {
  std::size_t place = 0;
  Document document;
  std::string hash;
};

void report_error(DocumentResult& result, const Error& error) {
  result.status = DocumentStatus::kError;
  result.error = error.what();
}

std::vector<Storable> storable_documents(std::span<const Document> documents, const PassageOptions& options,
                                         std::vector<DocumentResult>& results) {
  std::vector<Storable> storable;
  for (std::size_t place = 0; place < documents.size(); ++place) {
    results.push_back({.id = documents[place].id, .status = DocumentStatus::kCreated, .error = {}});
    try {
      Document document = storable_form(documents[place]);
      std::string hash = content_hash(document, options);
      storable.push_back({.place = place, .document = std::move(document), .hash = std::move(hash)});
    } catch (const Error& error) {
      report_error(results.back(), error);
    }
  }
  return storable;
}

std::vector<std::string> ids_of(const std::vector<Storable>& storable) {
  std::vector<std::string> ids;
  ids.reserve(storable.size());
  for (const Storable& one : storable) {
    ids.push_back(one.document.id);
  }
  return ids;
}

DocumentStatus status_of(const std::string& known_hash, const std::string& hash) {
  if (known_hash == hash) {
    return DocumentStatus::kUnchanged;
  }
  return known_hash.empty() ? DocumentStatus::kCreated : DocumentStatus::kReplaced;
}

/// All documents of the batch that have one id, in order.
struct Versions {
  std::string stored_hash;  // empty where none is stored
  std::vector<Storable*> in_order;
};

std::vector<Versions> by_id(std::vector<Storable>& storable, const HashesOf& stored_hashes) {
  const std::vector<std::string> hashes = stored_hashes(ids_of(storable));
  std::vector<Versions> result;
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t n = 0; n < storable.size(); ++n) {
    const auto [place, is_new] = places.try_emplace(storable[n].document.id, result.size());
    if (is_new) {
      result.push_back({.stored_hash = hashes[n], .in_order = {}});
    }
    result[place->second].in_order.push_back(&storable[n]);
  }
  return result;
}

void count(IndexPlan& plan, const DocumentRecord& record) {
  plan.passages += record.passages.size();
  for (const PassageRecord& passage : record.passages) {
    plan.chunks += passage.chunks.size();
  }
}

/// Cuts the last version, or the one before where it cannot be cut: what it replaces must not be lost with it. Versions
/// that cannot be cut get an error and are taken out.
void cut_last(Versions& versions, const Tokenizer& tokenizer, const PassageOptions& options, IndexPlan& plan) {
  std::vector<Storable*>& in_order = versions.in_order;
  while (!in_order.empty() && in_order.back()->hash != versions.stored_hash) {
    const std::string hash = in_order.back()->hash;
    try {
      plan.documents.push_back(cut_document(std::move(in_order.back()->document), hash, tokenizer, options));
      count(plan, plan.documents.back().record);
      return;
    } catch (const Error& error) {
      const auto is_same = [&](const Storable* one) { return one->hash == hash; };
      for (const Storable* one : in_order) {
        if (is_same(one)) {
          report_error(plan.results[one->place], error);
        }
      }
      std::erase_if(in_order, is_same);
    }
  }
}

void set_statuses(const Versions& versions, std::vector<DocumentResult>& results) {
  std::string known_hash = versions.stored_hash;
  for (const Storable* one : versions.in_order) {
    results[one->place].status = status_of(known_hash, one->hash);
    known_hash = one->hash;
  }
}

}  // namespace

IndexPlan plan_batch(std::span<const Document> documents, const HashesOf& stored_hashes, const Tokenizer& tokenizer,
                     const PassageOptions& options) {
  IndexPlan plan;
  std::vector<Storable> storable = storable_documents(documents, options, plan.results);
  for (Versions& versions : by_id(storable, stored_hashes)) {
    cut_last(versions, tokenizer, options, plan);
    set_statuses(versions, plan.results);
  }
  return plan;
}

}  // namespace refrag

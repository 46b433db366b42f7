#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/index_document.h"

namespace refrag {

/// What becomes of a batch of documents: a result for each, in order, and those that must be encoded and stored.
struct IndexPlan {
  std::vector<DocumentResult> results;
  std::vector<CutDocument> documents;  // ids are unique
  std::size_t passages = 0;            // of `documents`
  std::size_t chunks = 0;
};

/// Content hashes of the documents that are stored under these ids, in the same order; empty where none is.
using HashesOf = std::function<std::vector<std::string>(const std::vector<std::string>& ids)>;

/// Decides without a model. A document that cannot be stored gets an error as its result; one whose content is stored
/// already is not even tokenized. Of several with one id the last that can be stored is, and counts as replacing those
/// before.
IndexPlan plan_batch(std::span<const Document> documents, const HashesOf& stored_hashes, const Tokenizer& tokenizer,
                     const PassageOptions& options);

}  // namespace refrag

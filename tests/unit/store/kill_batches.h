#pragma once
#include <string>
#include <vector>

#include "unit/store/store_fixture.h"

namespace refrag::testing {

constexpr int kDocumentsABatch = 3;

/// Each batch adds documents of its own, replaces the one called "counter" and removes a document of the batch before,
/// so that merges have something to fold and to drop.
inline Batch numbered_batch(int number) {
  Batch batch;
  for (int i = 0; i < kDocumentsABatch; ++i) {
    const std::string id = "b" + std::to_string(number) + "." + std::to_string(i);
    batch.documents.push_back(record_of(id, "batch " + std::to_string(number) + " shines"));
  }
  batch.documents.push_back(record_of("counter", std::to_string(number)));
  if (number > 0) {
    batch.removed.push_back("b" + std::to_string(number - 1) + ".0");
  }
  return batch;
}

/// How many batches the base says it holds.
inline int count_batches(const KnowledgeBase& base) {
  const std::optional<StoredDocument> counter = base.get("counter");
  return counter ? std::stoi(counter->document.text) + 1 : 0;
}

/// The ids that are there after batches 0 to `count - 1`, and no others.
inline std::vector<std::string> ids_after(int count) {
  std::vector<std::string> ids;
  for (int number = 0; number < count; ++number) {
    for (int i = number + 1 < count ? 1 : 0; i < kDocumentsABatch; ++i) {
      ids.push_back("b" + std::to_string(number) + "." + std::to_string(i));
    }
  }
  if (count > 0) {
    ids.emplace_back("counter");
  }
  return sorted(ids);
}

}  // namespace refrag::testing

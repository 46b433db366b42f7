#pragma once
#include "refrag/knowledge_base.h"
#include "store/batch.h"

namespace refrag {

/// Refuses, before anything is written, what the store must never hold: kInvalidArgument naming the document, the
/// field, what was found and what was expected.
void check_batch(const Batch& batch, const KnowledgeBaseSchema& schema);

}  // namespace refrag

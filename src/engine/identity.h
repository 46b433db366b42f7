#pragma once
#include "refrag/knowledge_base.h"

namespace refrag {

/// Throw kIdentityMismatch, naming what differs, where a base was made by another model than the one that is loaded.
void require_same_chunks(const KnowledgeBaseSchema& base, const KnowledgeBaseSchema& model);    // for mode refrag
void require_same_passages(const KnowledgeBaseSchema& base, const KnowledgeBaseSchema& model);  // for dense search
void require_same_model(const KnowledgeBaseSchema& base, const KnowledgeBaseSchema& model);     // for adding documents

}  // namespace refrag

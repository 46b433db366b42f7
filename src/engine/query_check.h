#pragma once
#include "engine/model_runner.h"
#include "refrag/engine.h"

namespace refrag {

/// Throws kInvalidArgument or kUnsupported naming the first field of `query` that is wrong, as the API spells it, or
/// that this model cannot do. What depends on the passages is checked later.
void check_query(const Query& query, const ModelInfo& model, const EngineConfig& config);

}  // namespace refrag

#pragma once
#include <cstddef>
#include <vector>

namespace refrag {

/// Rows of different lengths as batches that waste little on padding: indices into `lengths`, shortest rows first, each
/// batch at most `token_budget` tokens once padded to its longest row (a longer single row is a batch of its own).
std::vector<std::vector<std::size_t>> batches_by_length(const std::vector<std::size_t>& lengths,
                                                        std::size_t token_budget);

}  // namespace refrag

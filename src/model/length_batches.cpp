#include "model/length_batches.h"

#include <algorithm>
#include <numeric>

namespace refrag {

std::vector<std::vector<std::size_t>> batches_by_length(const std::vector<std::size_t>& lengths,
                                                        std::size_t token_budget) {
  std::vector<std::size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return lengths[a] < lengths[b]; });

  std::vector<std::vector<std::size_t>> batches;
  for (const std::size_t row : order) {
    // Lengths rise, so this row is the longest of any batch it joins.
    const bool fits = !batches.empty() && lengths[row] * (batches.back().size() + 1) <= token_budget;
    if (!fits) {
      batches.emplace_back();
    }
    batches.back().push_back(row);
  }
  return batches;
}

}  // namespace refrag

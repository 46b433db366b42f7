#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/latency_model.h"
#include "refrag/query.h"

namespace refrag {

/// The share that is expanded where a query does not say.
inline constexpr double kDefaultExpandFraction = 0.1;

/// How many of the chunks of a prompt are expanded, given the order in which they would be.
struct BudgetInput {
  std::span<const std::size_t> order;    // chunks, best first
  std::span<const std::size_t> sizes;    // tokens, by chunk
  std::size_t compressed_positions = 0;  // of the whole prompt with every chunk compressed
};

/// round(fraction * chunks), halves to even, at least 1 where fraction > 0 and there are chunks.
std::size_t chunks_within_fraction(double fraction, std::size_t chunks);
/// As many as come first while their tokens stay at or below `tokens`.
std::size_t chunks_within_tokens(const BudgetInput& input, std::size_t tokens);
/// As many as come first while the prefill of the whole prompt stays within `ms`.
std::size_t chunks_within_ms(const BudgetInput& input, const LatencyModel& latency, double ms);

/// Throws kInvalidArgument naming the field: at most one of fraction, tokens, ttft_ms; ids only with kIds and then none
/// of the three; everything in its range.
void check_expand_options(const ExpandOptions& options);

}  // namespace refrag

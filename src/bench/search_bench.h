#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/json_reader.h"

namespace refrag::bench {

/// What `refrag bench search` makes and asks.
struct SearchPlan {
  std::size_t passages = 20'000;
  std::size_t width = 384;  // of passage vectors
  std::size_t queries = 500;
  std::size_t top_k = 10;
  bool merge = false;  // fold all segments into one first
  std::uint64_t seed = 1;
};

struct SearchReport {
  SearchPlan plan;
  double store_seconds = 0;  // to commit all passages
  std::size_t segments = 0;
  double recall = 0;  // share of the exact top_k that dense search finds
  double bytes_a_passage = 0;
  /// Milliseconds, one a query.
  std::vector<double> dense, lexical, hybrid, exact;
};

/// A knowledge base of random passages, whose vectors lie in clusters as those of texts do, searched with noisy copies
/// of some of them. `on_progress` with queries done.
SearchReport measure_search(const SearchPlan& plan, const std::function<void(std::size_t)>& on_progress);

Json to_json(const SearchReport& report);
std::string to_markdown(const SearchReport& report);

}  // namespace refrag::bench

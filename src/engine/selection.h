#pragma once
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/latency_model.h"
#include "engine/prompt_layout.h"
#include "engine/ranking.h"

namespace refrag {

/// Which chunks of a prompt are expanded before decoding, their scores, and why; by chunk, in the order of the prompt.
struct Selection {
  std::vector<bool> expanded;
  std::vector<std::optional<double>> scores;
  std::vector<std::string> reasons;

  std::size_t expanded_count() const;
};

Selection select_all(std::size_t chunks);  // mode full
Selection select_forced(const PromptLayout& layout);
/// Whether a query expands none of the chunks, or all: then no rule is asked.
bool needs_no_ranking(const ExpandOptions& options);
Selection select_none_or_all(const ExpandOptions& options, std::size_t chunks);

/// What a time to the first token is made of.
struct TtftTarget {
  double spent_ms = 0;                    // since the request arrived
  std::function<LatencyModel()> latency;  // asked for only where the query has such a target
};
Selection select_ranked(const ExpandOptions& options, const PromptLayout& layout, const Ranking& ranking,
                        const TtftTarget& target);

}  // namespace refrag

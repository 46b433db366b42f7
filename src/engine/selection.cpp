#include "engine/selection.h"

#include <algorithm>
#include <cmath>

#include "base/message.h"
#include "engine/budget.h"

namespace refrag {
namespace {

Selection nothing_of(std::size_t chunks) {
  return {std::vector<bool>(chunks, false), std::vector<std::optional<double>>(chunks),
          std::vector<std::string>(chunks)};
}

struct Count {
  std::size_t chunks = 0;
  std::string words;  // what "budget 6" is followed by
};

Count count_of(const ExpandOptions& options, const PromptLayout& layout, const Ranking& ranking,
               const TtftTarget& target) {
  const std::vector<bool> none(layout.chunk_count(), false);
  const BudgetInput input{ranking.order, layout.chunk_sizes(), layout.positions(none)};
  if (options.tokens) {
    return {chunks_within_tokens(input, *options.tokens), message(" for ", *options.tokens, " tokens")};
  }
  if (options.ttft_ms) {
    const LatencyModel latency = target.latency();
    return {chunks_within_ms(input, latency, *options.ttft_ms - target.spent_ms),
            message(" for ", *options.ttft_ms, " ms (the latency model errs by up to ",
                    std::ceil(100 * latency.error()), " %)")};
  }
  return {chunks_within_fraction(options.fraction.value_or(kDefaultExpandFraction), layout.chunk_count()), ""};
}

}  // namespace

std::size_t Selection::expanded_count() const {
  return static_cast<std::size_t>(std::count(expanded.begin(), expanded.end(), true));
}

Selection select_all(std::size_t chunks) {
  Selection selection = nothing_of(chunks);
  selection.expanded.assign(chunks, true);
  selection.reasons.assign(chunks, "all chunks (mode full)");
  return selection;
}

Selection select_forced(const PromptLayout& layout) {
  Selection selection = nothing_of(layout.chunk_count());
  selection.reasons.assign(layout.chunk_count(), "not among the caller's ids");
  for (const std::size_t chunk : layout.forced_chunks()) {
    selection.expanded[chunk] = true;
    selection.reasons[chunk] = "forced by the caller";
  }
  return selection;
}

bool needs_no_ranking(const ExpandOptions& options) {
  return options.by != ExpandBy::kIds && options.fraction && (*options.fraction == 0 || *options.fraction == 1);
}

Selection select_none_or_all(const ExpandOptions& options, std::size_t chunks) {
  const bool is_all = *options.fraction == 1;
  Selection selection = nothing_of(chunks);
  selection.expanded.assign(chunks, is_all);
  selection.reasons.assign(chunks, is_all ? "all chunks (fraction 1)" : "no chunk (fraction 0)");
  return selection;
}

Selection select_ranked(const ExpandOptions& options, const PromptLayout& layout, const Ranking& ranking,
                        const TtftTarget& target) {
  Selection selection = nothing_of(layout.chunk_count());
  selection.scores = ranking.scores;
  const Count budget = count_of(options, layout, ranking, target);
  const std::string rule =
      options.by == ExpandBy::kPolicy ? std::string() : message("rule: ", name_of(options.by), ", ");
  for (std::size_t n = 0; n < ranking.order.size(); ++n) {
    const std::size_t chunk = ranking.order[n];
    selection.expanded[chunk] = n < budget.chunks;
    selection.reasons[chunk] =
        message(rule, "rank ", n + 1, " of ", ranking.order.size(), ", budget ", budget.chunks, budget.words);
  }
  return selection;
}

}  // namespace refrag

#include "engine/budget.h"

#include <algorithm>
#include <cmath>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

[[noreturn]] void refuse(const std::string& text, const std::string& param) {
  throw Error(ErrorCode::kInvalidArgument, text, param);
}

void check_while_decoding(const ExpandWhileDecoding& options) {
  if (!std::isfinite(options.entropy) || options.entropy < 0) {
    refuse(message("expand.while_decoding.entropy is ", options.entropy, "; expected 0 or more nats"),
           "expand.while_decoding.entropy");
  }
  const bool is_on = options.every > 0 || options.entropy > 0;
  if (is_on && options.max_new == 0) {
    refuse("expand.while_decoding.max_new is 0; expected 1 or more", "expand.while_decoding.max_new");
  }
}

}  // namespace

std::size_t chunks_within_fraction(double fraction, std::size_t chunks) {
  if (fraction <= 0 || chunks == 0) return 0;
  const double exact = fraction * static_cast<double>(chunks);
  double count = std::floor(exact);
  const double rest = exact - count;  // spelled out: std::nearbyint follows the caller's rounding mode
  if (rest > 0.5 || (rest == 0.5 && std::fmod(count, 2) != 0)) count += 1;
  return std::clamp<std::size_t>(static_cast<std::size_t>(count), 1, chunks);
}

std::size_t chunks_within_tokens(const BudgetInput& input, std::size_t tokens) {
  std::size_t spent = 0;
  std::size_t count = 0;
  while (count < input.order.size() && input.sizes[input.order[count]] <= tokens - spent) {
    spent += input.sizes[input.order[count++]];
  }
  return count;
}

std::size_t chunks_within_ms(const BudgetInput& input, const LatencyModel& latency, double ms) {
  std::size_t positions = input.compressed_positions;
  std::size_t count = 0;
  while (count < input.order.size()) {
    positions += input.sizes[input.order[count]] - 1;  // its vector held one position already
    if (latency.prefill_ms(positions) > ms) break;
    ++count;
  }
  return count;
}

void check_expand_options(const ExpandOptions& options) {
  std::vector<std::string> given;
  if (options.fraction) given.emplace_back("expand.fraction");
  if (options.tokens) given.emplace_back("expand.tokens");
  if (options.ttft_ms) given.emplace_back("expand.ttft_ms");
  if (options.by == ExpandBy::kIds) given.emplace_back("expand.by ids");
  if (given.size() > 1) {
    refuse(message(given[0], " and ", given[1], " exclude each other; give one"),
           given[1] == "expand.by ids" ? given[0] : given[1]);
  }
  if (options.by != ExpandBy::kIds && !options.ids.empty()) {
    refuse(message("expand.ids is given with expand.by ", name_of(options.by), "; expected expand.by ids"),
           "expand.ids");
  }
  if (options.fraction && !(*options.fraction >= 0 && *options.fraction <= 1)) {
    refuse(message("expand.fraction is ", *options.fraction, "; expected 0 to 1"), "expand.fraction");
  }
  if (options.ttft_ms && !(std::isfinite(*options.ttft_ms) && *options.ttft_ms > 0)) {
    refuse(message("expand.ttft_ms is ", *options.ttft_ms, "; expected more than 0 milliseconds"), "expand.ttft_ms");
  }
  check_while_decoding(options.while_decoding);
}

}  // namespace refrag

#include "eval/scoring.h"

#include <algorithm>
#include <numeric>

#include "engine/sampler.h"
#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::size_t kSlice = 512;  // positions whose logits are held at once

}  // namespace

std::vector<double> token_losses(ModelRunner& runner, std::span<const Entry> entries, const Matrix* vectors,
                                 std::size_t first) {
  if (first == 0) {
    throw Error(ErrorCode::kInternal, "nothing predicts the first entry of a sequence");
  }
  std::vector<double> losses;
  const OpenSequence sequence(runner, entries.size());
  std::size_t start = 0;
  for (std::size_t predicted = first; predicted < entries.size();) {
    const std::size_t count = std::min(kSlice, entries.size() - predicted);
    const std::size_t end = predicted + count - 1;  // what predicts the last of them
    const StepInput step{.sequence = sequence.id(),
                         .start = start,
                         .entries = entries.subspan(start, end - start),
                         .vectors = vectors,
                         .logits_of_last = count};
    const Matrix logits = runner.step({&step, 1}).front();
    for (std::size_t n = 0; n < count; ++n) {
      losses.push_back(-RawDistribution(logits.row(n)).logprob(entries[predicted + n].token));
    }
    start = end;
    predicted += count;
  }
  return losses;
}

std::vector<double> chunk_losses(ModelRunner& runner, const MixedInput& input) {
  std::vector<double> result(input.chunk_count());
  if (input.chunk_count() == 0) {
    return result;
  }
  const std::size_t first = std::max<std::size_t>(1, input.chunk_position(0));
  const std::size_t last_chunk = input.chunk_count() - 1;
  const std::size_t end = input.chunk_position(last_chunk) + input.chunk_tokens(last_chunk).size();
  const std::vector<double> losses = token_losses(runner, input.entries().first(end), nullptr, first);
  for (std::size_t chunk = 0; chunk <= last_chunk; ++chunk) {
    const std::size_t begin = std::max(first, input.chunk_position(chunk)) - first;
    const std::size_t behind = input.chunk_position(chunk) + input.chunk_tokens(chunk).size() - first;
    const double sum = std::accumulate(losses.begin() + static_cast<std::ptrdiff_t>(begin),
                                       losses.begin() + static_cast<std::ptrdiff_t>(behind), 0.0);
    result[chunk] = behind > begin ? sum / static_cast<double>(behind - begin) : 0;
  }
  return result;
}

}  // namespace refrag

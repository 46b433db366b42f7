#include "eval/qa_prompt.h"

#include <utility>

#include "base/message.h"
#include "engine/budget.h"
#include "engine/phase_clock.h"
#include "engine/query_check.h"
#include "engine/ranking.h"
#include "eval/scoring.h"
#include "refrag/error.h"

namespace refrag {
namespace {

ExpandBy served_rule(EvalRule rule) {
  switch (rule) {
    case EvalRule::kPolicy:
      return ExpandBy::kPolicy;
    case EvalRule::kRandom:
      return ExpandBy::kRandom;
    case EvalRule::kFirst:
      return ExpandBy::kFirst;
    case EvalRule::kSimilarity:
      return ExpandBy::kSimilarity;
    case EvalRule::kHighPerplexity:
    case EvalRule::kLowPerplexity:
      break;  // of the evaluation alone: they cost what full context costs
  }
  return ExpandBy::kIds;
}

std::size_t tokens_of_first_passage(const MixedInput& input) {
  std::size_t tokens = 0;
  for (std::size_t chunk = 0; chunk < input.chunk_count() && input.ref(chunk).passage == 0; ++chunk) {
    tokens += input.chunk_tokens(chunk).size();
  }
  return tokens;
}

/// Of the same prompt with every chunk as a vector.
std::size_t compressed_positions(const MixedInput& full) {
  std::size_t positions = full.length() + full.chunk_count();
  for (std::size_t chunk = 0; chunk < full.chunk_count(); ++chunk) {
    positions -= full.chunk_tokens(chunk).size();
  }
  return positions;
}

}  // namespace

QaPrompts::QaPrompts(EncodeOnce& runner, const Preparation& preparation, std::string question,
                     std::vector<InlinePassage> passages, std::uint64_t seed)
    : runner_(runner),
      preparation_(preparation),
      question_(std::move(question)),
      passages_(std::move(passages)),
      seed_(seed) {}

QaPrompt QaPrompts::write(const EvalSetting& setting) {
  if (setting.mode == EvalMode::kLast) {
    return last_tokens();
  }
  PreparedRequest prepared = prepare(query_of(setting));
  const std::span<const Entry> entries = prepared.input.entries();
  return {{entries.begin(), entries.end()}, std::move(prepared.projected)};
}

Query QaPrompts::query_of(const EvalSetting& setting) {
  Query query;
  query.question = question_;
  query.passages = passages_;
  query.order = PassageOrder::kBestFirst;  // as they stand in the data
  query.sampling.seed = seed_;
  query.explain = false;
  query.mode = setting.mode == EvalMode::kNone   ? Mode::kNone
               : setting.mode == EvalMode::kFull ? Mode::kFull
                                                 : Mode::kRefrag;
  if (query.mode != Mode::kRefrag) {
    return query;
  }
  if (setting.has_choice() && reads_perplexity(setting.by)) {
    query.expand.by = ExpandBy::kIds;
    query.expand.ids = by_perplexity(setting);
    return query;
  }
  query.expand.fraction = setting.expand;
  query.expand.by = reads_perplexity(setting.by) ? ExpandBy::kFirst : served_rule(setting.by);
  return query;
}

PreparedRequest QaPrompts::prepare(const Query& query) const {
  check_query(query, runner_.info(), EngineConfig{});  // else a row could stand for a rule that was not run
  PhaseClock clock(Clock::now());
  return preparation_.prepare(query, clock, [] {});
}

PreparedRequest QaPrompts::prepare_full(std::size_t first_passage) const {
  Query query;
  query.question = question_;
  query.mode = Mode::kFull;
  query.passages = {passages_.begin() + static_cast<std::ptrdiff_t>(first_passage), passages_.end()};
  query.order = PassageOrder::kBestFirst;
  query.explain = false;
  return prepare(query);
}

/// The last passages in full, the first of them cut at its beginning, so that the prompt is no longer than the
/// compressed one.
QaPrompt QaPrompts::last_tokens() const {
  if (runner_.info().chunk_size == 0) {
    throw Error(ErrorCode::kUnsupported,
                message("model ", runner_.info().name, " has no chunk encoder; expected no rows of last tokens"),
                "mode");
  }
  std::size_t most = 0;
  for (std::size_t first = 0; first <= passages_.size(); ++first) {
    const MixedInput full = prepare_full(first).input;
    if (first == 0) {
      most = compressed_positions(full);
    }
    const std::size_t excess = full.length() - std::min(full.length(), most);
    if (excess == 0 || excess < tokens_of_first_passage(full)) {
      std::vector<Entry> entries(full.entries().begin(), full.entries().end());
      if (excess > 0) {
        const auto begin = entries.begin() + static_cast<std::ptrdiff_t>(full.chunk_position(0));
        entries.erase(begin, begin + static_cast<std::ptrdiff_t>(excess));
      }
      return {std::move(entries), {}};
    }
  }
  throw Error(ErrorCode::kInternal, "a prompt without passages is longer than one with them");
}

std::vector<ChunkRef> QaPrompts::by_perplexity(const EvalSetting& setting) {
  if (!losses_) {
    const MixedInput full = prepare_full(0).input;
    const std::vector<double> losses = chunk_losses(runner_, full);
    losses_.emplace();
    for (std::size_t chunk = 0; chunk < losses.size(); ++chunk) {
      losses_->push_back({full.ref(chunk), losses[chunk]});
    }
  }
  std::vector<float> scores;
  for (const ChunkLoss& chunk : *losses_) {
    scores.push_back(static_cast<float>(setting.by == EvalRule::kHighPerplexity ? chunk.loss : -chunk.loss));
  }
  const std::vector<std::size_t> order = rank_by_scores(scores).order;
  std::vector<ChunkRef> refs;
  for (std::size_t n = 0; n < chunks_within_fraction(setting.expand, order.size()); ++n) {
    refs.push_back((*losses_)[order[n]].ref);
  }
  return refs;
}

}  // namespace refrag

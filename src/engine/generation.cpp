#include "engine/generation.h"

#include <algorithm>
#include <utility>

#include "base/message.h"
#include "base/utf8.h"
#include "engine/ranking.h"
#include "engine/sampler.h"

namespace refrag {
namespace {

std::string shown_token(TokenId id, const Tokenizer& tokenizer) {
  return to_valid_utf8(tokenizer.is_special(id) ? tokenizer.token_of(id) : tokenizer.bytes_of(id));
}

}  // namespace

Generation::Generation(Query query, PreparedRequest prepared, PhaseClock clock,
                       std::shared_ptr<const ModelRunner> runner, std::size_t max_positions, Emit emit)
    : query_(std::move(query)),
      prepared_(std::move(prepared)),
      clock_(clock),
      runner_(std::move(runner)),
      max_positions_(max_positions),
      emit_(std::move(emit)),
      decoder_(runner_->info().tokenizer, false),  // it goes on behind the prompt
      stops_(query_.stop),
      at_start_(!query_.raw_prompt) {}

std::size_t Generation::expected_positions() const {
  constexpr std::size_t kTokensAhead = 256;
  const std::size_t left = std::min(query_.max_tokens - prepared_.answer.usage.completion_tokens, kTokensAhead);
  return std::min(input().length() + left, max_positions_);
}

void Generation::begin() {
  if (answer().usage.completion_tokens == 0) clock_.charge(answer().timings.queue);
}

Generation::Progress Generation::take(std::span<const float> logits) {
  if (answer().usage.completion_tokens == 0) clock_.charge(answer().timings.prefill);
  if (wants_look(logits)) {
    looked_at_ = generated_;
    if (const std::optional<std::size_t> valid = expand_best_chunks()) return {false, *valid};
  }
  const std::vector<TokenId> history =
      query_.sampling.repetition_penalty == 1 ? std::vector<TokenId>() : prepared_.input.token_ids();
  const TokenId id = pick_token(logits, history, query_.sampling, generated_);
  const std::vector<TokenId>& eos = runner_->info().eos_ids;
  const bool is_eos = std::find(eos.begin(), eos.end(), id) != eos.end();
  const std::size_t computed = input().length();
  const bool is_full = ++answer().usage.completion_tokens >= query_.max_tokens || computed >= max_positions_;

  std::string text = is_eos ? std::string() : stops_.add(decoder_.add(id));
  const bool is_finished = is_eos || is_full || stops_.stopped();
  if (is_finished) text += stops_.add(decoder_.finish());
  answer().finish_reason = is_eos || stops_.stopped() ? FinishReason::kStop : FinishReason::kLength;
  if (is_finished) text += stops_.finish();
  text = without_leading_space(std::move(text));
  note_token_time();
  // EOS has no text: it is an event only where text that was held back comes free with it.
  if (!is_eos || !text.empty()) deliver(id, std::move(text), logits);
  if (is_finished) return {true, computed};
  ++generated_;
  if (prepared_.chunk_vectors.rows > 0) prepared_.policy_query.push_back(id);
  prepared_.input.add_tokens({&id, 1});
  return {false, computed};
}

bool Generation::wants_look(std::span<const float> logits) const {
  if (prepared_.chunk_vectors.rows == 0 || looked_at_ == generated_) return false;
  const ExpandWhileDecoding& options = query_.expand.while_decoding;
  if (options.every > 0 && generated_ > 0 && generated_ % options.every == 0) return true;
  return options.entropy > 0 && RawDistribution(logits).entropy() > options.entropy;
}

bool Generation::can_expand() const {
  const MixedInput& input = prepared_.input;
  for (std::size_t chunk = 0; chunk < input.chunk_count(); ++chunk) {
    if (!input.is_expanded(chunk) && input.length() + input.growth(chunk) <= max_positions_) return true;
  }
  return false;
}

/// Only what came since the last look is encoded, with the chunk that was short then.
const Matrix& Generation::encode_question() {
  const std::vector<TokenId>& ids = prepared_.policy_query;
  const std::size_t size = runner_->info().chunk_size;
  const std::size_t whole = question_ids_ / size;  // chunks that stay as they are
  const Matrix rest = encode_query({ids.begin() + static_cast<std::ptrdiff_t>(whole * size), ids.end()}, *runner_);
  question_.width = rest.width;
  question_.values.resize(whole * rest.width);
  question_.values.insert(question_.values.end(), rest.values.begin(), rest.values.end());
  question_.rows = whole + rest.rows;
  question_ids_ = ids.size();
  return question_;
}

std::optional<std::size_t> Generation::expand_best_chunks() {
  if (!can_expand()) return std::nullopt;
  MixedInput& input = prepared_.input;
  const Matrix& question = reads_question(query_.expand.by) ? encode_question() : question_;
  const Ranking ranking = rank_chunks(query_.expand.by, {question, prepared_.chunk_vectors, &prepared_.projected},
                                      query_.sampling.seed, *runner_);
  const std::vector<std::size_t> chosen = choose_chunks(ranking);
  if (chosen.empty()) return std::nullopt;

  ExpansionEvent event{generated_, {}};
  std::size_t valid = input.length();
  for (std::size_t n = 0; n < chosen.size(); ++n) {
    valid = std::min(valid, input.expand(chosen[n]));
    ChunkReport& report = report_of(input.ref(chosen[n]), query_.order, answer().retrieval);
    report.state = ChunkState::kExpandedWhileDecoding;
    report.score = ranking.scores[chosen[n]];
    if (query_.explain) report.reason = message("during decoding at token ", event.at_token, ", rank ", n + 1);
    event.chunks.push_back(input.ref(chosen[n]));
  }
  answer().usage.expanded_while_decoding += chosen.size();
  emit_(event);
  return valid;
}

/// The best chunks that are still compressed, as far as the longer sequence can be computed.
std::vector<std::size_t> Generation::choose_chunks(const Ranking& ranking) const {
  const MixedInput& input = prepared_.input;
  std::size_t length = input.length();
  std::vector<std::size_t> chosen;
  for (const std::size_t chunk : ranking.order) {
    if (chosen.size() == query_.expand.while_decoding.max_new) break;
    if (input.is_expanded(chunk)) continue;
    if (length + input.growth(chunk) > max_positions_) break;
    length += input.growth(chunk);
    chosen.push_back(chunk);
  }
  return chosen;
}

void Generation::deliver(TokenId id, std::string text, std::span<const float> logits) {
  TokenEvent event;
  event.text = std::move(text);
  event.index = answer().usage.completion_tokens - 1;
  if (query_.logprobs > 0) {
    const Tokenizer& tokenizer = *runner_->info().tokenizer;
    const RawDistribution raw(logits);
    event.logprob = raw.logprob(id);
    for (const auto& [token, logprob] : raw.top(query_.logprobs)) {
      event.top.push_back({shown_token(token, tokenizer), logprob});
    }
    answer().tokens.push_back(event);
  }
  answer().text += event.text;
  emit_(event);
}

void Generation::note_token_time() {
  last_token_ms_ = clock_.elapsed_ms();
  if (answer().usage.completion_tokens == 1) answer().timings.ttft = last_token_ms_;
}

std::string Generation::without_leading_space(std::string text) {
  if (!at_start_) return text;
  text.erase(0, text.find_first_not_of(" \t\r\n\f\v"));
  at_start_ = text.empty();
  return text;
}

Answer Generation::finish() {
  Timings& timings = answer().timings;
  timings.total = clock_.elapsed_ms();
  const std::size_t tokens = answer().usage.completion_tokens;
  if (tokens > 1) timings.per_token = (last_token_ms_ - timings.ttft) / static_cast<double>(tokens - 1);
  return std::move(answer());
}

Answer Generation::finish(FinishReason reason) {
  answer().finish_reason = reason;
  return finish();
}

}  // namespace refrag

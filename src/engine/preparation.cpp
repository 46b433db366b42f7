#include "engine/preparation.h"

#include <optional>
#include <utility>

#include "base/message.h"
#include "refrag/error.h"
#include "text/chunker.h"

namespace refrag {

struct Preparation::Vectors {
  Matrix context;    // [chunks, chunk_width]
  Matrix projected;  // [chunks, decoder_width]
};

namespace {

/// A tokenizer may know special tokens that the decoder has no embedding for, and a template may write them.
void check_input(const MixedInput& input, const ModelInfo& model) {
  if (input.length() == 0) throw Error(ErrorCode::kInvalidArgument, "the prompt has no tokens", "question");
  for (const Entry& entry : input.entries()) {
    if (entry.token < 0 || static_cast<std::size_t>(entry.token) < model.vocab_size) continue;
    throw Error(ErrorCode::kUnsupported,
                message("the prompt has the token ", model.tokenizer->token_of(entry.token), " (", entry.token,
                        "); the model's vocabulary ends at ", model.vocab_size));
  }
}

}  // namespace

Preparation::Preparation(std::shared_ptr<const ModelRunner> runner, std::shared_ptr<KnowledgeBase> knowledge_base,
                         std::size_t max_positions, GetLatency latency)
    : runner_(std::move(runner)),
      source_(runner_, std::move(knowledge_base)),
      writer_(runner_->info()),
      max_positions_(max_positions),
      latency_(std::move(latency)) {}

PreparedRequest Preparation::prepare(const Query& query, PhaseClock& clock, const std::function<void()>& check) const {
  PreparedRequest result;
  Timings& timings = result.answer.timings;
  clock.charge(timings.queue);
  check();
  if (!writer_.takes_passages() && query.mode != Mode::kNone && !query.raw_prompt) {
    throw Error(ErrorCode::kUnsupported, "the model's prompt template has no {context}; expected mode none", "mode");
  }
  PromptLayout layout(query, source_.gather(query, clock, timings, check), writer_);
  // First by the shortest prompt that these passages can make, so that no chunk is encoded or scored that cannot stay.
  layout.fit(std::vector<bool>(layout.chunk_count(), query.mode == Mode::kFull), max_positions_);
  clock.charge(timings.lookup);
  if (query.mode == Mode::kRefrag) {
    result.answer.usage.encoded_chunks = encode_missing(layout.passages(), *runner_, check);
    clock.charge(timings.encode);
  }

  Vectors vectors;
  Selection selection;
  do {
    check();
    vectors = vectors_of(query, layout);
    clock.charge(timings.project);
    selection = select(query, layout, vectors, clock);
    clock.charge(timings.policy);
  } while (layout.fit(selection.expanded, max_positions_));

  result.input = layout.mixed_input(selection.expanded);
  check_input(result.input, runner_->info());
  Answer& answer = result.answer;
  layout.describe(answer);
  answer.usage.prompt_positions = result.input.length();
  answer.usage.expanded = selection.expanded_count();
  for (std::size_t chunk = 0; chunk < layout.chunk_count(); ++chunk) {
    ChunkReport& report = report_of(result.input.ref(chunk), query.order, answer.retrieval);
    report.state = selection.expanded[chunk] ? ChunkState::kExpanded : ChunkState::kCompressed;
    report.score = selection.scores[chunk];
    if (query.explain) report.reason = selection.reasons[chunk];
  }
  result.projected = std::move(vectors.projected);
  if (may_expand_while_decoding(query) && layout.chunk_count() > 0) {
    result.chunk_vectors = std::move(vectors.context);
    result.policy_query = writer_.policy_query(query.question);
  }
  clock.charge(timings.lookup);
  return result;
}

Preparation::Vectors Preparation::vectors_of(const Query& query, const PromptLayout& layout) const {
  Vectors vectors;
  if (query.mode != Mode::kRefrag || layout.chunk_count() == 0) return vectors;
  vectors.context = layout.chunk_vectors(runner_->info().chunk_width);
  vectors.projected = runner_->project(vectors.context);
  return vectors;
}

Selection Preparation::select(const Query& query, const PromptLayout& layout, const Vectors& vectors,
                              const PhaseClock& clock) const {
  const std::size_t chunks = layout.chunk_count();
  if (query.mode != Mode::kRefrag || chunks == 0) return select_all(chunks);
  const ExpandBy rule = query.expand.by;
  if (rule == ExpandBy::kIds) return select_forced(layout);
  if (needs_no_ranking(query.expand)) return select_none_or_all(query.expand, chunks);
  Matrix question;
  if (reads_question(rule)) question = encode_query(writer_.policy_query(query.question), *runner_);
  const Ranking ranking =
      rank_chunks(rule, {question, vectors.context, &vectors.projected}, query.sampling.seed, *runner_);
  return select_ranked(query.expand, layout, ranking, {clock.elapsed_ms(), latency_});
}

bool may_expand_while_decoding(const Query& query) {
  const ExpandWhileDecoding& options = query.expand.while_decoding;
  return query.mode == Mode::kRefrag && !query.raw_prompt && (options.every > 0 || options.entropy > 0);
}

Matrix encode_query(const std::vector<TokenId>& ids, const ModelRunner& runner) {
  const Encoding encoding{ids, std::vector<ByteRange>(ids.size())};
  std::vector<std::vector<TokenId>> chunks;
  for (Chunk& chunk : cut_into_chunks(encoding, runner.info().chunk_size)) chunks.push_back(std::move(chunk.ids));
  if (chunks.empty()) return {0, runner.info().chunk_width, {}};
  return runner.encode_chunks(chunks);
}

ChunkReport& report_of(ChunkRef ref, PassageOrder order, RetrievalReport& retrieval) {
  return retrieval.hits.at(turned(ref.passage, retrieval.hits.size(), order)).chunks.at(ref.chunk);
}

}  // namespace refrag

#pragma once
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "refrag/document.h"
#include "refrag/error.h"
#include "refrag/export.h"

namespace refrag {

/// How retrieved passages enter the prompt.
enum class Mode {
  kRefrag,  // one embedding a chunk; the chosen chunks as tokens
  kFull,    // every passage as tokens: ordinary RAG
  kNone,    // no passages: what the model knows by itself
};
enum class RetrieveMode { kHybrid, kDense, kLexical };
/// Which rule picks the chunks to expand. All but kPolicy are baselines for comparison.
enum class ExpandBy { kPolicy, kRandom, kFirst, kSimilarity, kIds };
/// Where the best passage stands in the context.
enum class PassageOrder { kBestLast, kBestFirst };

struct RetrieveOptions {
  std::size_t top_k = 8;             // passages; 0 retrieves nothing
  std::optional<RetrieveMode> mode;  // default: what the bundle says it is fit for
  Metadata filter;                   // equality on each key, inside both searches
  double min_score = 0;              // hits with a lower fused score are left out
};

/// A passage that comes with the request, used instead of retrieval.
struct InlinePassage {
  std::string id;
  std::string title;
  std::string text;
};

/// A chunk by its place in the prompt: passage n, chunk m of it, both from 0.
struct ChunkRef {
  std::size_t passage = 0;
  std::size_t chunk = 0;
  bool operator==(const ChunkRef&) const = default;
};

/// Expansion during decoding. Off where both triggers are 0. Bounded by `max_new` alone: the budget of ExpandOptions is
/// spent before decoding.
struct ExpandWhileDecoding {
  std::size_t every = 0;    // tokens between two looks; 0: never by count
  double entropy = 0;       // nats; look when the next-token entropy is above; 0: never by entropy
  std::size_t max_new = 2;  // chunks a look
};

/// How many chunks are expanded (at most one of fraction, tokens, ttft_ms; default fraction 0.1) and which.
struct ExpandOptions {
  std::optional<double> fraction;  // of all chunks in the prompt, 0 to 1: round(fraction * chunks), at least 1 above 0
  std::optional<std::size_t> tokens;  // in rank order while the expanded tokens stay at or below
  std::optional<double> ttft_ms;      // as many as the fitted latency model allows
  ExpandBy by = ExpandBy::kPolicy;
  std::vector<ChunkRef> ids;  // with kIds: exactly these
  ExpandWhileDecoding while_decoding;
};

struct SamplingOptions {
  double temperature = 0;  // 0: greedy
  double top_p = 1;
  std::size_t top_k = 0;  // 0: off
  double min_p = 0;
  double repetition_penalty = 1;  // 1: off
  std::uint64_t seed = 0;
};

struct ChatMessage {
  std::string role;  // system, user, assistant
  std::string content;
};

struct Query {
  std::string question;
  Mode mode = Mode::kRefrag;
  RetrieveOptions retrieve;
  std::optional<std::vector<InlinePassage>> passages;
  PassageOrder order = PassageOrder::kBestLast;
  ExpandOptions expand;
  SamplingOptions sampling;
  std::size_t max_tokens = 128;
  std::vector<std::string> stop;  // the answer ends before the first of these
  std::size_t logprobs = 0;       // alternatives a token, 0 to 20
  bool truncate = false;          // drop the last-ranked passages instead of failing on a prompt that is too long
  bool explain = true;            // say why each chunk was or was not expanded
  /// Conversation so far, without the question; needs a model with a chat template.
  std::vector<ChatMessage> history;
  /// Instead of the template: `question` is the whole prompt, after BOS (as POST /v1/completions has it).
  bool raw_prompt = false;
  /// Where timings begin, TTFT among them. Absent: when the engine is asked.
  std::optional<std::chrono::steady_clock::time_point> arrived;
};

enum class ChunkState { kCompressed, kExpanded, kExpandedWhileDecoding };
enum class FinishReason { kStop, kLength, kCancelled, kError };
REFRAG_EXPORT const char* name_of(Mode);
REFRAG_EXPORT const char* name_of(RetrieveMode);
REFRAG_EXPORT const char* name_of(ExpandBy);
REFRAG_EXPORT const char* name_of(ChunkState);
REFRAG_EXPORT const char* name_of(FinishReason);

struct Citation {
  std::string document_id;
  std::string passage_id;
  std::size_t start = 0;  // code points of the document's text
  std::size_t end = 0;
};

struct ChunkReport {
  std::size_t start = 0;  // code points of the document's text
  std::size_t end = 0;
  ChunkState state = ChunkState::kCompressed;
  std::optional<double> score;  // the policy's logit, or the similarity; absent for other rules
  std::string reason;           // "rank 41 of 64, budget 6"; empty without `explain`
};

struct RankedScore {
  double score = 0;
  std::size_t rank = 0;  // from 1
};

/// A passage that was found, best first.
struct Hit {
  std::string document_id;
  std::string passage_id;
  std::string title;
  std::string text;
  std::size_t start = 0;  // of the passage in its document, code points
  std::size_t end = 0;
  double score = 0;                  // fused; after reranking, the reranker's order decides
  std::optional<RankedScore> dense;  // absent where that search did not find it
  std::optional<RankedScore> lexical;
  std::optional<RankedScore> rerank;
  std::vector<ChunkReport> chunks;  // filled in answers, empty in plain searches
};

struct RetrievalReport {
  bool empty = true;
  std::vector<Hit> hits;
};

struct Usage {
  std::size_t question_tokens = 0;    // template and question
  std::size_t context_tokens = 0;     // passages, as text
  std::size_t prompt_positions = 0;   // what the decoder saw: tokens plus one a compressed chunk
  std::size_t completion_tokens = 0;  // the final EOS included
  std::size_t chunks = 0;
  std::size_t expanded = 0;  // before decoding
  std::size_t expanded_while_decoding = 0;
  std::size_t dropped_passages = 0;  // by `truncate`
  std::size_t encoded_chunks = 0;    // made on the spot: cache misses
};

/// Milliseconds. `ttft` runs from the request's arrival to its first token, queueing included.
struct Timings {
  double queue = 0, retrieve = 0, lookup = 0, encode = 0, project = 0, policy = 0, prefill = 0;
  double ttft = 0, per_token = 0, total = 0;
};

struct TokenLogprob {
  std::string text;
  double logprob = 0;
};

struct TokenEvent {
  std::string text;  // whole UTF-8 characters; may be empty while a character is incomplete
  std::size_t index = 0;
  std::optional<double> logprob;  // where log-probabilities were asked for
  std::vector<TokenLogprob> top;
};

struct ExpansionEvent {
  std::size_t at_token = 0;  // the context differs from this token on
  std::vector<ChunkRef> chunks;
};

struct Answer {
  std::string id;
  std::string model;
  std::string text;
  FinishReason finish_reason = FinishReason::kStop;
  std::vector<Citation> citations;
  RetrievalReport retrieval;
  std::vector<TokenEvent> tokens;  // where log-probabilities were asked for
  Usage usage;
  Timings timings;
};

/// What a streamed answer is made of: RetrievalReport first, then TokenEvent and ExpansionEvent, last Answer or Error.
using Event = std::variant<RetrievalReport, TokenEvent, ExpansionEvent, Answer, Error>;

}  // namespace refrag

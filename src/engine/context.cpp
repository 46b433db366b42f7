#include "engine/context.h"

#include <algorithm>
#include <utility>

#include "base/message.h"
#include "base/utf8.h"
#include "engine/identity.h"
#include "engine/index_document.h"
#include "refrag/error.h"
#include "text/chunker.h"

namespace refrag {
namespace {

Retriever make_retriever(const std::shared_ptr<const ModelRunner>& runner) {
  const ModelInfo& model = runner->info();
  EmbedText embed;
  if (model.passage_width > 0) {
    embed = [runner](const std::string& text) { return runner->embed_queries({text}).values; };
  }
  RerankTexts rerank;
  if (model.has_reranker) {
    rerank = [runner](const std::string& query, const std::vector<std::string>& texts) {
      return runner->rerank(query, texts);
    };
  }
  RetrieverOptions options;
  options.default_mode = model.default_retrieve;
  return Retriever(std::move(embed), std::move(rerank), options);
}

ChunkReport untouched_chunk(std::size_t start, std::size_t end) {
  ChunkReport report;
  report.start = start;
  report.end = end;
  return report;
}

/// What a knowledge base hands out goes straight into the decoder's embedding table: nothing that does not fit may.
void check_stored(const ContextPassage& passage, const ModelInfo& model, bool needs_vectors) {
  const auto refuse = [&](const std::string& fault) {
    throw Error(ErrorCode::kCorrupt, message("knowledge base: passage ", passage.hit.passage_id, " has ", fault));
  };
  for (const std::vector<TokenId>& chunk : passage.chunks) {
    if (chunk.empty()) refuse("a chunk without tokens");
    for (const TokenId id : chunk) {
      if (id < 0 || static_cast<std::size_t>(id) >= model.vocab_size) {
        refuse(message("token id ", id, "; the model has ", model.vocab_size, " tokens"));
      }
    }
  }
  const std::size_t expected = passage.chunks.size() * model.chunk_width;
  if (needs_vectors && passage.vectors.size() != expected) {
    refuse(message(passage.vectors.size(), " floats of chunk vectors; expected ", expected));
  }
}

}  // namespace

std::size_t encode_missing(std::span<ContextPassage> passages, const ModelRunner& runner,
                           const std::function<void()>& check) {
  constexpr std::size_t kSlice = 256;  // chunks between two checks
  std::vector<std::vector<TokenId>> chunks;
  for (const ContextPassage& passage : passages) {
    if (passage.vectors.empty()) chunks.insert(chunks.end(), passage.chunks.begin(), passage.chunks.end());
  }
  std::vector<float> vectors;
  for (std::size_t begin = 0; begin < chunks.size(); begin += kSlice) {
    check();
    const auto slice = std::span(chunks).subspan(begin, std::min(kSlice, chunks.size() - begin));
    const Matrix encoded = runner.encode_chunks({slice.begin(), slice.end()});
    if (encoded.rows != slice.size() || encoded.width != runner.info().chunk_width) {
      throw Error(ErrorCode::kInternal, message("the encoder gave ", encoded.rows, " vectors of ", encoded.width,
                                                " floats for ", slice.size(), " chunks"));
    }
    vectors.insert(vectors.end(), encoded.values.begin(), encoded.values.end());
  }
  auto next = vectors.begin();
  for (ContextPassage& passage : passages) {
    if (!passage.vectors.empty()) continue;
    const auto end = next + static_cast<std::ptrdiff_t>(passage.chunks.size() * runner.info().chunk_width);
    passage.vectors.assign(next, end);
    next = end;
  }
  return chunks.size();
}

ContextSource::ContextSource(std::shared_ptr<const ModelRunner> runner, std::shared_ptr<KnowledgeBase> knowledge_base)
    : runner_(std::move(runner)), knowledge_base_(std::move(knowledge_base)), retriever_(make_retriever(runner_)) {}

std::vector<ContextPassage> ContextSource::gather(const Query& query, PhaseClock& clock, Timings& timings,
                                                  const std::function<void()>& check) const {
  if (query.mode == Mode::kNone || query.raw_prompt) return {};
  if (!query.passages)
    return query.retrieve.top_k == 0 ? std::vector<ContextPassage>() : retrieve(query, clock, timings);
  std::vector<ContextPassage> passages;
  for (const InlinePassage& passage : *query.passages) {
    check();
    passages.push_back(inlined(passage));
  }
  clock.charge(timings.lookup);
  return passages;
}

std::vector<ContextPassage> ContextSource::retrieve(const Query& query, PhaseClock& clock, Timings& timings) const {
  const bool needs_vectors = query.mode == Mode::kRefrag;
  if (knowledge_base_ != nullptr && needs_vectors) {
    require_same_chunks(knowledge_base_->schema(), runner_->info().schema);
  }
  Found found = find(query.question, query.retrieve);
  clock.charge(timings.retrieve);
  std::vector<ContextPassage> passages;
  for (RetrievedPassage& passage : found.passages) {
    passages.push_back(stored(found.snapshot, std::move(passage), needs_vectors));
  }
  clock.charge(timings.lookup);
  return passages;
}

std::vector<Hit> ContextSource::search(const std::string& query, const RetrieveOptions& options) const {
  if (options.top_k == 0) return {};
  std::vector<Hit> hits;
  for (const RetrievedPassage& passage : find(query, options).passages) hits.push_back(to_hit(passage));
  return hits;
}

ContextSource::Found ContextSource::find(const std::string& query, const RetrieveOptions& options) const {
  if (knowledge_base_ == nullptr) {
    throw Error(ErrorCode::kInvalidArgument,
                "there is no knowledge base; expected passages with the request, retrieve.top_k 0 or mode none",
                "passages");
  }
  const RetrieveMode mode = options.mode.value_or(runner_->info().default_retrieve);
  if (mode != RetrieveMode::kLexical) {
    require_same_passages(knowledge_base_->schema(), runner_->info().schema);
  }
  RetrieveOptions as_stored = options;
  as_stored.filter = storable_metadata(options.filter);
  Snapshot snapshot = knowledge_base_->snapshot();
  std::vector<RetrievedPassage> passages = retriever_.search(snapshot, query, as_stored);
  return {std::move(snapshot), std::move(passages)};
}

ContextPassage ContextSource::stored(const Snapshot& snapshot, RetrievedPassage found, bool needs_vectors) const {
  ContextPassage passage;
  passage.hit = to_hit(found);
  if (snapshot.schema().identities.chunks != runner_->info().schema.identities.chunks) {
    // Only mode full comes here. The stored ids may be another tokenizer's: the text is what counts.
    cut_again(passage, found.passage.start);
    return passage;
  }
  passage.hit.chunks.clear();
  for (ChunkRecord& chunk : found.passage.chunks) {
    passage.hit.chunks.push_back(untouched_chunk(chunk.start, chunk.end));
    passage.chunks.push_back(std::move(chunk.ids));
  }
  if (needs_vectors) passage.vectors = snapshot.chunk_vectors(found.passage.key);
  check_stored(passage, runner_->info(), needs_vectors);
  return passage;
}

ContextPassage ContextSource::inlined(const InlinePassage& passage) const {
  ContextPassage result;
  result.hit.document_id = passage.id;
  result.hit.passage_id = passage.id;
  result.hit.title = normalize_document_text(passage.title);
  result.hit.text = normalize_document_text(passage.text);
  result.hit.end = count_code_points(result.hit.text);
  cut_again(result, 0);
  return result;
}

void ContextSource::cut_again(ContextPassage& passage, std::size_t first_code_point) const {
  const ModelInfo& model = runner_->info();
  const std::string& text = passage.hit.text;
  const Encoding encoding = model.tokenizer->encode_with_ranges(text);
  const std::size_t size = model.chunk_size > 0 ? model.chunk_size : std::max<std::size_t>(1, encoding.ids.size());
  const CodePointIndex code_points(text);
  passage.hit.chunks.clear();
  passage.chunks.clear();
  for (Chunk& chunk : cut_into_chunks(encoding, size)) {
    passage.hit.chunks.push_back(untouched_chunk(first_code_point + code_points.at_byte(chunk.bytes.begin),
                                                 first_code_point + code_points.at_byte(chunk.bytes.end)));
    passage.chunks.push_back(std::move(chunk.ids));
  }
}

}  // namespace refrag

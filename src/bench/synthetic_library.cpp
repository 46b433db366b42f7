#include "bench/synthetic_library.h"

#include <algorithm>
#include <random>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag::bench {
namespace {

constexpr std::size_t kDocumentsACommit = 256;

std::string name_of_passage(std::size_t topic, std::size_t passage) { return message("topic-", topic, "-", passage); }

}  // namespace

SyntheticLibrary::SyntheticLibrary(std::shared_ptr<const SyntheticTokenizer> tokenizer, std::size_t topics,
                                   std::size_t passages_a_topic, std::uint64_t seed)
    : tokenizer_(std::move(tokenizer)), topics_(topics), passages_a_topic_(passages_a_topic), seed_(seed) {
  if (topics_ * 2 > tokenizer_->words()) {
    throw Error(ErrorCode::kInvalidArgument,
                message(topics_, " topics need a vocabulary of as many words and more; it has ", tokenizer_->words()));
  }
}

// Its words have five letters or more, so that none but the topic's is a word of a passage.
std::string SyntheticLibrary::question(std::size_t topic) const {
  return message("Please describe", tokenizer_->bytes_of(tokenizer_->word(topic)), " thoroughly?");
}

std::vector<TokenId> SyntheticLibrary::passage_ids(std::size_t topic, std::size_t passage) const {
  std::seed_seq seed{seed_, static_cast<std::uint64_t>(topic), static_cast<std::uint64_t>(passage)};
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<std::size_t> other_words(topics_, tokenizer_->words() - 1);
  std::vector<TokenId> ids = {tokenizer_->word(topic)};
  while (ids.size() < kPassageTokens) ids.push_back(tokenizer_->word(other_words(random)));
  return ids;
}

std::vector<InlinePassage> SyntheticLibrary::inline_passages(std::size_t topic) const {
  std::vector<InlinePassage> passages;
  for (std::size_t n = 0; n < passages_a_topic_; ++n) {
    passages.push_back({name_of_passage(topic, n), "", tokenizer_->decode(passage_ids(topic, n), true)});
  }
  return passages;
}

DocumentRecord SyntheticLibrary::record(std::size_t topic, std::size_t passage,
                                        const KnowledgeBaseSchema& schema) const {
  const std::vector<TokenId> ids = passage_ids(topic, passage);
  DocumentRecord record;
  record.document.id = name_of_passage(topic, passage);
  record.document.text = tokenizer_->decode(ids, true);
  record.content_hash = record.document.id;
  PassageRecord stored;
  std::size_t at = 0;  // bytes, which are code points here
  for (std::size_t begin = 0; begin < ids.size(); begin += schema.chunk_size) {
    const std::size_t end = std::min(begin + schema.chunk_size, ids.size());
    ChunkRecord chunk;
    chunk.ids.assign(ids.begin() + static_cast<std::ptrdiff_t>(begin), ids.begin() + static_cast<std::ptrdiff_t>(end));
    chunk.start = at;
    at += tokenizer_->decode(chunk.ids, true).size();
    chunk.end = at;
    stored.chunks.push_back(std::move(chunk));
  }
  stored.end = at;
  std::mt19937_64 random(seed_ ^ (topic << 20) ^ passage);
  std::normal_distribution<float> normal;
  stored.chunk_vectors.resize(stored.chunks.size() * schema.chunk_width);
  std::generate(stored.chunk_vectors.begin(), stored.chunk_vectors.end(), [&] { return normal(random); });
  stored.vector.assign(schema.passage_width, 0.0f);
  if (!stored.vector.empty()) stored.vector[passage % stored.vector.size()] = 1.0f;
  record.passages.push_back(std::move(stored));
  return record;
}

void SyntheticLibrary::store(KnowledgeBase& base) const {
  Batch batch;
  const auto commit = [&] {
    base.commit(batch);
    batch = {};
  };
  for (std::size_t topic = 0; topic < topics_; ++topic) {
    for (std::size_t passage = 0; passage < passages_a_topic_; ++passage) {
      batch.documents.push_back(record(topic, passage, base.schema()));
      if (batch.documents.size() == kDocumentsACommit) commit();
    }
  }
  if (!batch.documents.empty()) commit();
}

}  // namespace refrag::bench

#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/synthetic_tokenizer.h"
#include "refrag/knowledge_base.h"
#include "refrag/query.h"
#include "store/batch.h"

namespace refrag::bench {

inline constexpr std::size_t kPassageTokens = 256;

/// Documents about topics, each of which a question finds again: every passage of a topic, and no other, has the word
/// that names it. All else in them is random words, the same for the same seed.
class SyntheticLibrary {
 public:
  /// `tokenizer` must have a word for each topic and more.
  SyntheticLibrary(std::shared_ptr<const SyntheticTokenizer> tokenizer, std::size_t topics,
                   std::size_t passages_a_topic, std::uint64_t seed);

  std::size_t topics() const { return topics_; }
  std::size_t passages_a_topic() const { return passages_a_topic_; }
  std::string question(std::size_t topic) const;
  std::vector<TokenId> passage_ids(std::size_t topic, std::size_t passage) const;  // kPassageTokens of them
  std::vector<InlinePassage> inline_passages(std::size_t topic) const;

  /// All passages into a new knowledge base, one document each, with random vectors for their chunks.
  void store(KnowledgeBase& base) const;

 private:
  DocumentRecord record(std::size_t topic, std::size_t passage, const KnowledgeBaseSchema& schema) const;

  std::shared_ptr<const SyntheticTokenizer> tokenizer_;
  std::size_t topics_;
  std::size_t passages_a_topic_;
  std::uint64_t seed_;
};

}  // namespace refrag::bench

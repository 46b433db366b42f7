#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "refrag/query.h"

namespace refrag {

/// A question with the passages it is asked over.
struct QaItem {
  std::string question;
  std::vector<std::string> answers;     // any of them is right; the first is the one whose perplexity is told
  std::vector<InlinePassage> passages;  // in the order of the prompt
  std::vector<std::string> relevant;    // ids of passages that hold the answer; may be empty
};

/// For data without passages of its own: the right document among others drawn at random.
struct DistractorOptions {
  std::filesystem::path documents;  // JSONL of documents
  std::size_t passages = 4;         // in a prompt, the right one included
  std::uint64_t seed = 1;
};

/// One JSON object a line: `question`, `answers` (or `answer`), and either `passages` ([{id, title, text}]) with
/// `relevant` ids, or `document`, the id of a document of `distractors->documents`. Other fields are passed over.
/// With `limit` > 0 that many questions are drawn at random, by the seed.
/// Throws kCorrupt naming file, line and field.
std::vector<QaItem> read_qa(const std::filesystem::path& file, const std::optional<DistractorOptions>& distractors,
                            std::size_t limit, std::uint64_t seed);

}  // namespace refrag

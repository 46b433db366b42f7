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
  std::vector<std::string> answers;       // any of them is right; the first is the one whose perplexity is told
  std::vector<InlinePassage> passages;    // in the order of the prompt
  std::vector<std::string> relevant;      // ids of passages that hold the answer; may be empty
  std::vector<InlinePassage> spare = {};  // irrelevant ones, for where a relevant one is dropped
  /// The order in which a smaller count takes irrelevant passages, by place; empty: as they stand. Drawn passages have
  /// one: were the first ones taken, the right passage would stand last more often than chance has it.
  std::vector<std::size_t> precedence = {};
};

/// Which of a question's passages its prompt has.
struct PassageChoice {
  std::optional<std::size_t> count = std::nullopt;  // at most so many, relevant ones before others; absent: all
  bool drops_relevant = false;                      // others stand in their places, as far as there are any
};

/// In the order of the data. Of two counts the smaller one's passages are among the larger one's.
std::vector<InlinePassage> choose_passages(const QaItem& item, const PassageChoice& choice);

/// For data without passages of its own: the right document among others drawn at random.
struct DistractorOptions {
  std::filesystem::path documents;  // JSONL of documents
  std::size_t passages = 4;         // in a prompt, the right one included
  std::uint64_t seed = 1;
};

struct QaDataOptions {
  std::optional<DistractorOptions> distractors = std::nullopt;  // needed where the data has questions without passages
  std::size_t limit = 0;                                        // so many questions, drawn at random; 0: all
  std::uint64_t seed = 1;
  bool needs_relevant = false;  // questions that do not say which passages are relevant are refused
};

/// One JSON object a line: `question`, `answers` (or `answer`), and either `passages` ([{id, title, text}]) with
/// `relevant` ids, or `document`, the id of a document of `distractors->documents`. Other fields are passed over.
/// Throws kCorrupt naming file, line and field.
std::vector<QaItem> read_qa(const std::filesystem::path& file, const QaDataOptions& options);

}  // namespace refrag

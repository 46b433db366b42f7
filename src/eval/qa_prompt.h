#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/preparation.h"
#include "eval/encode_once.h"
#include "eval/setting.h"

namespace refrag {

/// What the decoder reads before an answer.
struct QaPrompt {
  std::vector<Entry> entries;
  Matrix vectors;  // [chunks, decoder_width]; empty where no entry is one
};

/// Lays out the prompts of one question over one set of passages, by `Preparation`: the very ones that are served.
class QaPrompts {
 public:
  /// `seed`: of what the rule random draws. `runner` and `preparation` must outlive it.
  QaPrompts(EncodeOnce& runner, const Preparation& preparation, std::string question,
            std::vector<InlinePassage> passages, std::uint64_t seed);

  /// Throws as Engine does for what the model cannot do, kContextLengthExceeded for a prompt that is too long.
  QaPrompt write(const EvalSetting& setting);

 private:
  Query query_of(const EvalSetting& setting);
  PreparedRequest prepare(const Query& query) const;
  PreparedRequest prepare_full(std::size_t first_passage) const;
  QaPrompt last_tokens() const;
  std::vector<ChunkRef> by_perplexity(const EvalSetting& setting);

  EncodeOnce& runner_;
  const Preparation& preparation_;
  std::string question_;
  std::vector<InlinePassage> passages_;
  std::uint64_t seed_;
  struct ChunkLoss {
    ChunkRef ref;
    double loss = 0;
  };
  std::optional<std::vector<ChunkLoss>> losses_;  // made where a rule asks for them
};

}  // namespace refrag

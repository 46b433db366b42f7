#pragma once
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "engine/model_runner.h"

namespace refrag::testing {

/// Bytes as tokens, plus a few whole words (longest match first) so that tokens may span the borders of pieces.
/// Ids: 0 <unk>, 1 <s>, 2 </s>, 3 <pad>, then 256 bytes, then the words.
class FakeTokenizer : public Tokenizer {
 public:
  static constexpr TokenId kBos = 1;
  static constexpr TokenId kEos = 2;
  static constexpr TokenId kPad = 3;
  static constexpr TokenId kFirstByte = 4;
  static constexpr TokenId kFirstWord = kFirstByte + 256;

  explicit FakeTokenizer(std::vector<std::string> words = {"the", "ing", " of", ". "});

  Encoding encode_pieces(const std::vector<TextPiece>& pieces) const override;
  std::vector<TokenId> encode_for_model(std::string_view text, SpecialTokens special) const override;
  Pair encode_pair(std::string_view first, std::string_view second) const override;
  std::string decode(const std::vector<TokenId>& ids, bool skip_special) const override;
  std::string bytes_of(TokenId id) const override;
  bool strips_leading_space() const override { return false; }
  std::size_t vocab_size() const override { return static_cast<std::size_t>(kFirstWord) + words_.size(); }
  std::optional<TokenId> id_of(std::string_view token) const override;
  std::string token_of(TokenId id) const override;
  bool is_special(TokenId id) const override { return id >= 0 && id < kFirstByte; }
  std::optional<TokenId> bos() const override { return kBos; }
  std::optional<TokenId> eos() const override { return kEos; }
  std::optional<TokenId> pad() const override { return kPad; }
  const std::string& identity() const override { return identity_; }

 private:
  std::vector<std::string> words_;  // longest first
  std::string identity_;
};

/// A door that a test holds shut, to stop a thread at a known place without waiting for time to pass.
class Gate {
 public:
  void close();
  void open();
  void wait_for_arrival();  // until a thread stands before the closed gate
  void pass();              // returns while the gate is open

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;       // guarded by mutex_
  std::size_t standing_ = 0;  // guarded by mutex_; threads that wait in pass()
};

struct FakeModel {
  std::string name = "fake";
  std::size_t chunk_size = 4;
  std::size_t chunk_width = 8;
  std::size_t decoder_width = 6;
  std::size_t passage_width = 16;
  std::size_t context_length = 2048;
  bool has_policy = true;
  bool has_reranker = false;
  RetrieveMode default_retrieve = RetrieveMode::kHybrid;
  PromptTemplate prompt;
  std::optional<ChatTemplate> chat_template;
  /// Says exactly this, then ends. Where absent it babbles: small letters, spaces and words, as the hash has it.
  std::optional<std::string> answer;
  /// No step over a sequence that holds this token succeeds.
  std::optional<TokenId> poison;
  /// Tokens from here on have no embedding. Absent: none.
  std::optional<std::size_t> vocab_size;
  /// Babble ends after so many tokens since the last colon ("Answer:"); 0: never.
  std::size_t end_after = 0;
};

/// One sequence's share of a step that was run.
struct FakeStepShare {
  SequenceId sequence = 0;
  std::size_t start = 0;
  std::size_t count = 0;
};

/// A deterministic model of nothing. Its logits are a hash of all entries of the sequence in order (rows of vectors by
/// their values), so that any error in layout, order, positions or cutting back changes the answer. Vectors of texts
/// count words, so that dense search finds what shares words with the query. Checks what its callers must keep to:
/// throws kInternal for a start behind what is computed, a closed sequence or a row that does not exist.
class FakeRunner : public ModelRunner {
 public:
  explicit FakeRunner(FakeModel model = {});

  const ModelInfo& info() const override { return info_; }
  Matrix encode_chunks(const std::vector<std::vector<TokenId>>& chunks) const override;
  Matrix project(const Matrix& chunk_vectors) const override;
  std::vector<float> score_chunks(const Matrix& question, const Matrix& context,
                                  const Matrix* projected_context) const override;
  Matrix embed_queries(const std::vector<std::string>& texts) const override;
  Matrix embed_passages(const std::vector<std::string>& texts) const override;
  std::vector<float> rerank(const std::string& query, const std::vector<std::string>& texts) const override;
  SequenceId open_sequence(std::size_t expected_positions) override;
  void close_sequence(SequenceId sequence) override;
  std::vector<Matrix> step(std::span<const StepInput> inputs) override;
  void rest() const override;

  Gate& step_gate() { return step_gate_; }
  Gate& encode_gate() const { return encode_gate_; }
  /// The next step (encoding, opening of a sequence) throws kInternal with these words.
  void fail_next_step(std::string words);
  void fail_next_encode(std::string words);
  void fail_next_open(std::string words);
  std::vector<std::vector<FakeStepShare>> steps() const;  // all that were run so far
  std::size_t open_sequences() const;
  std::size_t encoded_chunks() const;
  std::size_t threads_that_rested() const;

  /// What the model would say next after these entries: for comparing whole runs with single forwards.
  std::vector<float> logits_after(std::span<const Entry> entries, const Matrix* vectors) const;

 private:
  struct Place {  // after one entry
    std::uint64_t hash = 0;
    TokenId token = Entry::kVector;
  };
  Place place_after(const std::vector<Place>& before, const Entry& entry, const Matrix* vectors) const;
  std::vector<float> logits_at(std::span<const Place> places) const;

  FakeModel model_;
  std::vector<TokenId> answer_ids_;
  ModelInfo info_;
  Gate step_gate_;
  mutable Gate encode_gate_;
  mutable std::mutex mutex_;
  std::map<SequenceId, std::vector<Place>> sequences_;  // guarded by mutex_
  SequenceId next_sequence_ = 1;                        // guarded by mutex_
  std::vector<std::vector<FakeStepShare>> steps_;       // guarded by mutex_
  std::string fail_step_;                               // guarded by mutex_
  std::string fail_open_;                               // guarded by mutex_
  mutable std::string fail_encode_;                     // guarded by mutex_
  mutable std::size_t encoded_chunks_ = 0;              // guarded by mutex_
  mutable std::set<std::thread::id> rested_;            // guarded by mutex_
};

}  // namespace refrag::testing

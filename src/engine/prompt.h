#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/token.h"
#include "engine/model_runner.h"
#include "refrag/query.h"

namespace refrag {

/// A stretch of a prompt: tokens, or the place where the stored chunks of a passage go.
struct PromptPart {
  enum class Kind {
    kFrame,      // template and question
    kAround,     // a passage's title and what else stands around its text
    kText,       // the place of a passage's chunks; no tokens of its own
    kSeparator,  // between two passages
  };
  Kind kind = Kind::kFrame;
  std::vector<TokenId> tokens;
  std::size_t passage = 0;  // of kAround and kText, in the order of the prompt
};

/// A prompt without its passages' texts, which are never tokenized again.
struct Prompt {
  std::vector<PromptPart> parts;
  std::size_t tokens_of(PromptPart::Kind kind) const;
};

/// Lays out a model's prompts. What stands before the passages is tokenized as one text, and so is what stands behind
/// them; of a passage, what stands before its text, what stands behind it, and each separator, are texts of their own.
/// A model with a chat template gets one user message with passages and question, behind the history; the message's
/// words are the prompt template's, or kChatMessage where that is the default one.
class PromptWriter {
 public:
  static constexpr const char* kChatMessage =
      "Answer the question with the help of these passages.\n\n{context}\nQuestion: {question}";

  /// Throws kInvalidArgument naming the template's fault.
  explicit PromptWriter(const ModelInfo& model);

  /// `titles`: one a passage, in the order of the prompt. Throws kInvalidArgument naming the query's field.
  Prompt write(const Query& query, const std::vector<std::string>& titles) const;
  bool takes_passages() const { return takes_passages_; }
  /// What the expansion policy reads of the question.
  std::vector<TokenId> policy_query(const std::string& question) const;

 private:
  using Pieces = std::vector<TextPiece>;
  struct Frame {  // what stands around the passages
    Pieces before;
    Pieces behind;
    bool add_bos = false;
  };
  Frame frame_of(const Query& query, bool has_passages) const;
  Frame chat_frame(const Query& query, bool has_passages) const;
  Frame fill(const std::vector<TemplatePart>& parts, const std::string& question, SpecialTokens literals) const;
  std::vector<TokenId> around_text(const std::vector<TemplatePart>& parts, const std::string& title) const;
  std::vector<TokenId> tokens_of(const Pieces& pieces) const { return tokenizer_->encode_pieces(pieces).ids; }

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_;
  std::vector<TemplatePart> text_;
  std::vector<TemplatePart> before_text_;  // of a passage
  std::vector<TemplatePart> behind_text_;
  std::vector<TemplatePart> query_;
  std::string separator_;
  bool bos_ = true;
  bool takes_passages_ = true;
};

}  // namespace refrag

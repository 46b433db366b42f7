#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "refrag/query.h"
#include "text/tokenizer.h"

namespace refrag {

/// A checkpoint's chat template: the subset of Jinja that published LLaMA-family templates use. Immutable, thread-safe.
class ChatTemplate {
 public:
  /// From tokenizer_config.json ("chat_template") or chat_template.jinja; empty where the model has none.
  /// Throws kUnsupported with the name of the statement, filter or test that is not known.
  static std::optional<ChatTemplate> load(const std::filesystem::path& model_directory);
  /// `special` are the variables bos_token, eos_token, ... as the template sees them.
  ChatTemplate(const std::string& source, std::vector<std::pair<std::string, std::string>> special);

  /// The conversation as pieces: the template's own text may hold special tokens, message contents never do.
  /// Throws kInvalidArgument with the template's own words where it calls raise_exception.
  std::vector<TextPiece> render(const std::vector<ChatMessage>& messages, bool add_generation_prompt) const;

 private:
  struct Program;
  std::shared_ptr<const Program> program_;
};

}  // namespace refrag

#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "text/added_tokens.h"

namespace refrag {

/// What tokenizer_config.json, special_tokens_map.json and added_tokens.json say beside the tokenizer itself. All of
/// them may be missing.
struct TokenizerConfig {
  /// Throws kCorrupt, naming the file and field.
  static TokenizerConfig load(const std::filesystem::path& directory);

  std::string tokenizer_class;    // "LlamaTokenizer"; empty where not said
  std::optional<bool> adds_bos;   // add_bos_token
  std::optional<bool> adds_eos;   // add_eos_token
  bool is_legacy = true;          // LLaMA: every part of a text between special tokens gets a space in front
  bool adds_prefix_space = true;  // LLaMA, not legacy: the text gets a space in front
  bool lower_case = true;         // do_lower_case
  bool spaces_ideographs = true;  // tokenize_chinese_chars
  std::optional<bool> strips_accents;
  std::map<std::string, std::string> special;   // "bos_token" to "<s>"; "eos_token", "unk_token", "mask_token", ...
  std::vector<std::string> additional_special;  // additional_special_tokens
  std::vector<AddedToken> added;                // added_tokens_decoder and added_tokens.json, by id

  /// "bos_token" and so on, or none.
  std::optional<std::string> special_token(const std::string& name) const;
  std::vector<std::string> all_special() const;
};

}  // namespace refrag

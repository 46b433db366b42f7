#include "text/tokenizer_config.h"

#include <algorithm>
#include <charconv>

#include "base/message.h"
#include "text/vocabulary.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSpecialNames[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                         "pad_token", "cls_token", "mask_token"};

/// "</s>" or {"content": "</s>", ...}; null and other values say nothing.
std::optional<std::string> content_of(const Json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_object() && value.contains("content") && value["content"].is_string()) {
    return value["content"].get<std::string>();
  }
  return std::nullopt;
}

void read_special_tokens(const Json& json, TokenizerConfig& config) {
  for (const char* name : kSpecialNames) {
    if (const auto found = json.find(name); found != json.end()) {
      if (const std::optional<std::string> token = content_of(*found)) {
        config.special[name] = *token;
      }
    }
  }
  if (const auto found = json.find("additional_special_tokens"); found != json.end() && found->is_array()) {
    for (const Json& value : *found) {
      if (const std::optional<std::string> token = content_of(value)) {
        config.additional_special.push_back(*token);
      }
    }
  }
}

std::optional<bool> read_optional(JsonReader& json, const std::string& name) {
  return json.has(name) ? std::optional(json.boolean(name, false)) : std::nullopt;
}

/// {"32000": {"content": "<|im_end|>", ...}}
void read_added_tokens(JsonReader& json, TokenizerConfig& config) {
  const std::string name = "added_tokens_decoder";
  const JsonReader tokens = json.object(name);
  for (const auto& [key, value] : tokens.json().items()) {
    TokenId id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id > Vocabulary::kMaxId) {
      json.fail(name, "ids as its keys");
    }
    config.added.push_back(read_added_token(value, message(json.path_of(name), ".", key), id));
  }
}

void read_tokenizer_config(const fs::path& path, TokenizerConfig& config) {
  const Json file = parse_json_file(path);
  JsonReader json(file, path.string() + ": ", ErrorCode::kCorrupt);
  config.tokenizer_class = json.text("tokenizer_class", "");
  config.adds_bos = read_optional(json, "add_bos_token");
  config.adds_eos = read_optional(json, "add_eos_token");
  config.is_legacy = json.boolean("legacy", true);
  config.adds_prefix_space = json.boolean("add_prefix_space", true);
  config.lower_case = json.boolean("do_lower_case", true);
  config.spaces_ideographs = json.boolean("tokenize_chinese_chars", true);
  config.strips_accents = read_optional(json, "strip_accents");
  read_special_tokens(file, config);
  read_added_tokens(json, config);
}

/// The older way: {"<|im_end|>": 32000}.
void read_old_added_tokens(const fs::path& path, TokenizerConfig& config) {
  const Json file = parse_json_file(path);
  JsonReader json(file, path.string() + ": ", ErrorCode::kCorrupt);
  for (const auto& [token, value] : file.items()) {
    const auto id = static_cast<TokenId>(json.integer(token, 0, Vocabulary::kMaxId));
    const auto is_same = [id](const AddedToken& known) { return known.id == id; };
    if (std::none_of(config.added.begin(), config.added.end(), is_same)) {
      config.added.push_back({.id = id, .content = token, .normalized = false});
    }
  }
}

}  // namespace

TokenizerConfig TokenizerConfig::load(const fs::path& directory) {
  TokenizerConfig config;
  if (const fs::path path = directory / "special_tokens_map.json"; fs::exists(path)) {
    const Json file = parse_json_file(path);
    JsonReader(file, path.string() + ": ", ErrorCode::kCorrupt);  // an object, or it throws
    read_special_tokens(file, config);
  }
  if (const fs::path path = directory / "tokenizer_config.json"; fs::exists(path)) {
    read_tokenizer_config(path, config);
  }
  if (const fs::path path = directory / "added_tokens.json"; fs::exists(path)) {
    read_old_added_tokens(path, config);
  }
  std::sort(config.added.begin(), config.added.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
  return config;
}

std::optional<std::string> TokenizerConfig::special_token(const std::string& name) const {
  const auto found = special.find(name);
  return found == special.end() ? std::nullopt : std::optional(found->second);
}

std::vector<std::string> TokenizerConfig::all_special() const {
  std::vector<std::string> tokens = additional_special;
  for (const auto& [name, token] : special) {
    tokens.push_back(token);
  }
  return tokens;
}

}  // namespace refrag

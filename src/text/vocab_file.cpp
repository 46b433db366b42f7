#include "text/vocab_file.h"

#include <string>
#include <string_view>

#include "base/files.h"
#include "base/hash.h"
#include "base/message.h"
#include "base/utf8.h"
#include "text/json_tokenizer.h"
#include "text/tokenizer_config.h"
#include "text/vocabulary.h"

namespace refrag {
namespace {

/// {"token": line, ...}; of equal lines the last counts, as in Hugging Face's BertTokenizer.
Json read_lines(const std::filesystem::path& path) {
  const std::string content = read_file(path);
  if (!is_valid_utf8(content)) {
    throw Error(ErrorCode::kCorrupt, message(path.string(), " is not UTF-8"));
  }
  Json vocab = Json::object();
  TokenId id = 0;
  for (std::string_view rest = content; !rest.empty() && id <= Vocabulary::kMaxId; ++id) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    line = line.substr(0, line.ends_with('\r') ? line.size() - 1 : line.size());
    vocab[std::string(line)] = id;
  }
  return vocab;
}

std::string special_of(const TokenizerConfig& config, const std::string& name, const char* usual) {
  return config.special_token(name).value_or(usual);
}

TokenId id_of(const Json& vocab, const std::string& token, const std::filesystem::path& path) {
  const auto found = vocab.find(token);
  if (found == vocab.end()) {
    throw Error(ErrorCode::kCorrupt, message(path.string(), " has no \"", token, "\""));
  }
  return found->get<TokenId>();
}

}  // namespace

std::shared_ptr<const Tokenizer> load_vocab_file(const std::filesystem::path& directory) {
  const std::filesystem::path path = directory / "vocab.txt";
  const TokenizerConfig config = TokenizerConfig::load(directory);
  const std::string unknown = special_of(config, "unk_token", "[UNK]");
  const std::string begin = special_of(config, "cls_token", "[CLS]");
  const std::string end = special_of(config, "sep_token", "[SEP]");
  Json json;  // the tokenizer.json that transformers would write for it
  Json& vocab = json["model"]["vocab"] = read_lines(path);
  Json added = Json::array();
  for (const std::string& token :
       {unknown, begin, end, special_of(config, "pad_token", "[PAD]"), special_of(config, "mask_token", "[MASK]")}) {
    if (vocab.contains(token)) {
      added.push_back({{"id", vocab[token]}, {"content", token}, {"special", true}, {"normalized", false}});
    }
  }
  json["post_processor"] = {
      {"type", "BertProcessing"}, {"cls", {begin, id_of(vocab, begin, path)}}, {"sep", {end, id_of(vocab, end, path)}}};
  json["model"]["type"] = "WordPiece";
  json["model"]["unk_token"] = unknown;
  json["added_tokens"] = std::move(added);
  json["normalizer"] = {{"type", "BertNormalizer"},
                        {"lowercase", config.lower_case},
                        {"handle_chinese_chars", config.spaces_ideographs},
                        {"strip_accents", config.strips_accents.value_or(config.lower_case)}};
  json["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  json["decoder"] = {{"type", "WordPiece"}};
  std::string identity = Sha256().add_field("vocab.txt").add_field(json.dump()).hex();
  return make_json_tokenizer(json, config, path.string() + ": ", std::move(identity));
}

}  // namespace refrag

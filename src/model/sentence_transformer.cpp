#include "model/sentence_transformer.h"

#include <limits>
#include <string>

#include "base/json_reader.h"
#include "base/message.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTypePrefix = "sentence_transformers.models.";
constexpr std::string_view kPoolingModePrefix = "pooling_mode_";

// Module paths lie inside the directory; "" is the directory itself.
fs::path module_directory(const fs::path& directory, JsonReader& module) {
  const fs::path path = module.text("path", "");
  for (const fs::path& part : path) {
    if (path.is_absolute() || part == "..") {
      module.fail("path", "a path inside the model's directory");
    }
  }
  return directory / path;
}

Pooling read_pooling(const fs::path& file) {
  const Json json = parse_json_file(file);
  JsonReader reader(json, file.string() + ": ", ErrorCode::kCorrupt);
  std::string chosen;
  for (const auto& [name, value] : json.items()) {
    if (name.starts_with(kPoolingModePrefix) && reader.boolean(name, false)) {
      chosen += (chosen.empty() ? "" : " and ") + name;
    }
  }
  if (chosen == "pooling_mode_cls_token") {
    return Pooling::kCls;
  }
  if (chosen == "pooling_mode_mean_tokens") {
    return Pooling::kMean;
  }
  throw Error(ErrorCode::kUnsupported, message(file.string(), ": the pooling is ", chosen.empty() ? "none" : chosen,
                                               "; expected pooling_mode_cls_token or pooling_mode_mean_tokens"));
}

std::size_t read_max_tokens(const fs::path& file) {
  const Json json = parse_json_file(file);
  JsonReader reader(json, file.string() + ": ", ErrorCode::kCorrupt);
  if (reader.boolean("do_lower_case", false)) {
    throw Error(ErrorCode::kUnsupported,
                message(file.string(), ": do_lower_case is true; lower-casing belongs to the tokenizer's own files"));
  }
  return static_cast<std::size_t>(reader.integer("max_seq_length", 0, 0, std::numeric_limits<std::int32_t>::max()));
}

// Vectors here have length 1 and are compared by their product, which is the cosine.
void refuse_dot_product(const fs::path& file) {
  const Json json = parse_json_file(file);
  JsonReader reader(json, file.string() + ": ", ErrorCode::kCorrupt);
  const std::string similarity = reader.text("similarity_fn_name", "cosine");
  if (similarity != "cosine") {
    throw Error(ErrorCode::kUnsupported, message(file.string(), ": similarity_fn_name is \"", similarity,
                                                 "\" and modules.json has no Normalize; only cosine is supported"));
  }
}

}  // namespace

SentenceTransformer read_sentence_transformer(const fs::path& directory) {
  SentenceTransformer model{directory};
  bool normalized = false;
  if (fs::exists(directory / "modules.json")) {
    const Json modules = parse_json_file(directory / "modules.json");
    const Json wrapped = {{"modules", modules}};
    for (JsonReader& module :
         JsonReader(wrapped, (directory / "modules.json").string() + ": ", ErrorCode::kCorrupt).objects("modules")) {
      const std::string type = module.text("type");
      const fs::path path = module_directory(directory, module);
      const std::string kind = type.starts_with(kTypePrefix) ? type.substr(kTypePrefix.size()) : type;
      if (kind == "Transformer") {
        model.encoder = path;
      } else if (kind == "Pooling") {
        model.pooling = read_pooling(path / "config.json");
      } else if (kind == "Normalize") {
        normalized = true;
      } else {
        throw Error(ErrorCode::kUnsupported,
                    message(module.path_of("type"), " is \"", type, "\"; expected Transformer, Pooling or Normalize"));
      }
    }
  }
  if (fs::exists(model.encoder / "sentence_bert_config.json")) {
    model.max_tokens = read_max_tokens(model.encoder / "sentence_bert_config.json");
  }
  if (!normalized && fs::exists(directory / "config_sentence_transformers.json")) {
    refuse_dot_product(directory / "config_sentence_transformers.json");
  }
  return model;
}

}  // namespace refrag

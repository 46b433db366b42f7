#include "text/chat_template.h"

#include <utility>

#include "base/files.h"
#include "base/json_reader.h"
#include "base/message.h"
#include "base/utf8.h"
#include "refrag/error.h"
#include "text/jinja_eval.h"
#include "text/jinja_syntax.h"

namespace refrag {

struct ChatTemplate::Program {
  jinja::Block block;
  std::vector<std::pair<std::string, std::string>> special;
};

namespace {

constexpr std::uint64_t kMaxTemplateBytes = 1u << 20;
constexpr std::size_t kMaxPieces = 1'000'000;  // each is a string of its own
constexpr const char* kSpecialNames[] = {"bos_token", "eos_token", "unk_token", "pad_token"};

/// A token is a string or {"content": string}.
std::string token_text(const Json& token) {
  if (token.is_string()) {
    return token.get<std::string>();
  }
  if (token.is_object() && token.contains("content") && token["content"].is_string()) {
    return token["content"].get<std::string>();
  }
  return {};
}

/// A template, or a list of {"name", "template"} of which "default" counts.
std::optional<std::string> template_text(const Json& value, const std::filesystem::path& file) {
  if (value.is_null()) {
    return std::nullopt;
  }
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_array()) {
    for (const Json& named : value) {
      if (named.is_object() && named.value("name", Json()) == "default" && named.contains("template") &&
          named["template"].is_string()) {
        return named["template"].get<std::string>();
      }
    }
    return std::nullopt;
  }
  throw Error(ErrorCode::kCorrupt,
              message(file.string(), ": chat_template is ", value.type_name(), "; expected a string or a list"));
}

jinja::Value conversation(const std::vector<ChatMessage>& messages) {
  std::vector<jinja::Value> rows;
  rows.reserve(messages.size());
  for (const ChatMessage& one : messages) {
    rows.push_back(jinja::Value::dict(
        {{"role", jinja::Text::ours(one.role)}, {"content", jinja::Text::users(to_valid_utf8(one.content))}}));
  }
  return jinja::Value::list(std::move(rows));
}

/// Neighbouring bytes with the same mark as one piece.
std::vector<TextPiece> pieces_of(const jinja::Text& text) {
  std::vector<TextPiece> pieces;
  for (std::size_t begin = 0; begin < text.bytes.size();) {
    if (pieces.size() == kMaxPieces) {
      jinja::fail(message("the output alternates between the template's words and the messages' more than ", kMaxPieces,
                          " times"));
    }
    std::size_t end = text.marks.find_first_not_of(text.marks[begin], begin);
    end = end == std::string::npos ? text.bytes.size() : end;
    const bool ours = text.marks[begin] == jinja::Text::kOurs;
    pieces.push_back({text.bytes.substr(begin, end - begin), ours ? SpecialTokens::kParse : SpecialTokens::kAsText});
    begin = end;
  }
  return pieces;
}

}  // namespace

std::optional<ChatTemplate> ChatTemplate::load(const std::filesystem::path& model_directory) {
  const std::filesystem::path config_file = model_directory / "tokenizer_config.json";
  const std::filesystem::path template_file = model_directory / "chat_template.jinja";
  const Json config = std::filesystem::exists(config_file) ? parse_json_file(config_file) : Json::object();
  if (!config.is_object()) {
    throw Error(ErrorCode::kCorrupt, message(config_file.string(), ": expected an object"));
  }
  std::optional<std::string> source;
  if (std::filesystem::exists(template_file)) {
    source = read_file(template_file, kMaxTemplateBytes);
  } else if (config.contains("chat_template")) {
    source = template_text(config["chat_template"], config_file);
  }
  if (!source) {
    return std::nullopt;
  }
  std::vector<std::pair<std::string, std::string>> special;
  for (const char* name : kSpecialNames) {
    if (config.contains(name)) {
      special.emplace_back(name, token_text(config[name]));
    }
  }
  return ChatTemplate(*source, std::move(special));
}

ChatTemplate::ChatTemplate(const std::string& source, std::vector<std::pair<std::string, std::string>> special) {
  if (source.size() > kMaxTemplateBytes) {
    throw Error(ErrorCode::kCorrupt,
                message("the chat template has ", source.size(), " bytes; expected at most ", kMaxTemplateBytes));
  }
  auto program = std::make_shared<Program>();
  program->block = jinja::parse(to_valid_utf8(source));
  jinja::check_names(program->block);
  program->special = std::move(special);
  program_ = std::move(program);
}

std::vector<TextPiece> ChatTemplate::render(const std::vector<ChatMessage>& messages,
                                            bool add_generation_prompt) const {
  std::vector<std::pair<std::string, jinja::Value>> variables = {{"messages", conversation(messages)},
                                                                 {"add_generation_prompt", add_generation_prompt},
                                                                 {"tools", jinja::None{}},
                                                                 {"documents", jinja::None{}}};
  for (const auto& [name, token] : program_->special) {
    variables.emplace_back(name, jinja::Text::ours(token));
  }
  return pieces_of(jinja::render(program_->block, variables));
}

}  // namespace refrag

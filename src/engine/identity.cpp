#include "engine/identity.h"

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostDifferences = 4;  // named in one message

/// The parts of an identity note under `part` ("/chunks"), by path; all of them where it is not divided.
Json fields_of(const std::string& note, const std::string& part) {
  const Json parsed = Json::parse(note, nullptr, false);
  if (!parsed.is_object()) return Json::object();
  const Json::json_pointer pointer(part);
  return (parsed.contains(pointer) && parsed.at(pointer).is_object() ? parsed.at(pointer) : parsed).flatten();
}

std::string differences(const std::string& base_note, const std::string& model_note, const std::string& part) {
  const Json base = fields_of(base_note, part);
  const Json model = fields_of(model_note, part);
  Json all = base;
  all.update(model);
  std::string text;
  std::size_t count = 0;
  for (const auto& [path, unused] : all.items()) {
    const Json in_base = base.value(path, Json());
    const Json in_model = model.value(path, Json());
    if (in_base == in_model || ++count > kMostDifferences) continue;
    const std::string name = path.empty() ? part : path;
    text += message(count > 1 ? ", " : "", name.substr(1), " ", in_base.dump(), " against ", in_model.dump());
  }
  if (count > kMostDifferences) text += message(" and ", count - kMostDifferences, " more");
  return text.empty() ? "their records do not say what differs" : text;
}

void refuse(const KnowledgeBaseSchema& base, const KnowledgeBaseSchema& model, const std::string& part,
            const std::string& remedy) {
  throw Error(
      ErrorCode::kIdentityMismatch,
      message("the knowledge base was made by \"", base.model_name, "\", the model is \"", model.model_name,
              "\"; base against model: ", differences(base.identity_note, model.identity_note, part), "; ", remedy));
}

bool have_same_chunks(const KnowledgeBaseSchema& base, const KnowledgeBaseSchema& model) {
  return base.identities.chunks == model.identities.chunks && base.chunk_width == model.chunk_width;
}

bool have_same_passages(const KnowledgeBaseSchema& base, const KnowledgeBaseSchema& model) {
  return base.identities.passages == model.identities.passages && base.passage_width == model.passage_width;
}

}  // namespace

void require_same_chunks(const KnowledgeBaseSchema& base, const KnowledgeBaseSchema& model) {
  if (have_same_chunks(base, model)) return;
  refuse(base, model, "/chunks", "index again with this model, or ask with mode full");
}

void require_same_passages(const KnowledgeBaseSchema& base, const KnowledgeBaseSchema& model) {
  if (have_same_passages(base, model)) return;
  refuse(base, model, "/passages", "index again with this model, or ask with retrieve.mode lexical");
}

void require_same_model(const KnowledgeBaseSchema& base, const KnowledgeBaseSchema& model) {
  const std::string remedy = "add documents with the model that made it, or make another knowledge base";
  if (!have_same_chunks(base, model)) refuse(base, model, "/chunks", remedy);
  if (!have_same_passages(base, model)) refuse(base, model, "/passages", remedy);
}

}  // namespace refrag

#include "text/post_processor.h"

#include <map>
#include <string>

#include "base/message.h"
#include "text/json_parts.h"

namespace refrag {
namespace {

using Item = PostProcessor::Item;
using SpecialTokenIds = std::map<std::string, std::vector<TokenId>>;

TokenId read_type_id(JsonReader& json) { return static_cast<TokenId>(json.integer("type_id", 0, 0, 1)); }

std::vector<TokenId> read_ids(JsonReader& json, const std::string& name) {
  const Json& ids = json.value(name);
  if (!ids.is_array()) {
    json.fail(name, "an array of ids");
  }
  std::vector<TokenId> read;
  for (const Json& id : ids) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() > Vocabulary::kMaxId) {
      json.fail(name, "an array of ids");
    }
    read.push_back(id.get<TokenId>());
  }
  return read;
}

/// ["</s>", 2]
TokenId read_token_pair(JsonReader& json, const std::string& name) {
  const Json& pair = json.value(name);
  if (!pair.is_array() || pair.size() != 2 || !pair[1].is_number_integer() || pair[1].get<std::int64_t>() < 0 ||
      pair[1].get<std::int64_t>() > Vocabulary::kMaxId) {
    json.fail(name, "[token, id]");
  }
  return pair[1].get<TokenId>();
}

Item read_item(JsonReader& json, const SpecialTokenIds& special) {
  if (json.has("Sequence")) {
    JsonReader sequence = json.object("Sequence");
    const bool is_first = sequence.one_of("id", {"A", "B"}, 0) == 0;
    const TokenId type_id = read_type_id(sequence);
    return is_first ? PostProcessor::first(type_id) : PostProcessor::second(type_id);
  }
  JsonReader token = json.object("SpecialToken");
  const auto found = special.find(token.text("id"));
  if (found == special.end()) {
    token.fail("id", "one of \"special_tokens\"");
  }
  return PostProcessor::tokens(found->second, read_type_id(token));
}

PostProcessor::Template read_template(JsonReader& json, const std::string& name, const SpecialTokenIds& special) {
  PostProcessor::Template items;
  for (JsonReader& item : json.objects(name)) {
    items.push_back(read_item(item, special));
  }
  return items;
}

SpecialTokenIds read_special_tokens(JsonReader& json) {
  JsonReader tokens = json.object("special_tokens");
  SpecialTokenIds special;
  for (const auto& [name, value] : tokens.json().items()) {
    JsonReader token = tokens.object(name);
    special[name] = read_ids(token, "ids");
  }
  return special;
}

}  // namespace

PostProcessor::PostProcessor() : PostProcessor({first()}, {first(), second(1)}) {}

PostProcessor::PostProcessor(JsonReader json, const Vocabulary& vocabulary) : PostProcessor() {
  read(json);
  check(vocabulary, json.path_of("special_tokens"));
}

void PostProcessor::read(JsonReader& json) {
  const std::string type = json.text("type");
  if (type == "Sequence") {
    for (JsonReader& part : json.objects("processors")) {
      read(part);  // published files have at most one that adds tokens, beside ByteLevel
    }
  } else if (type == "TemplateProcessing") {
    const SpecialTokenIds special = read_special_tokens(json);
    single_ = read_template(json, "single", special);
    pair_ = read_template(json, "pair", special);
  } else if (type == "RobertaProcessing" || type == "BertProcessing") {
    const TokenId begin = read_token_pair(json, "cls");
    const TokenId end = read_token_pair(json, "sep");
    single_ = {tokens({begin}), first(), tokens({end})};
    if (type == "BertProcessing") {
      pair_ = {tokens({begin}), first(), tokens({end}), second(1), tokens({end}, 1)};
    } else {
      pair_ = {tokens({begin}), first(), tokens({end, end}), second(), tokens({end})};
    }
  } else if (type != "ByteLevel") {  // which moves offsets alone
    refuse_type(json, "post-processor", type);
  }
}

void PostProcessor::check(const Vocabulary& vocabulary, const std::string& field) const {
  for (const TokenId id : special_ids()) {
    if (!vocabulary.has(id)) {
      throw Error(ErrorCode::kCorrupt, message(field, " names the id ", id, ", which the vocabulary does not have"),
                  field);
    }
  }
}

std::vector<TokenId> PostProcessor::special_ids() const {
  std::vector<TokenId> ids;
  for (const Template* items : {&single_, &pair_}) {
    for (const Item& item : *items) {
      ids.insert(ids.end(), item.ids.begin(), item.ids.end());
    }
  }
  return ids;
}

std::optional<TokenId> PostProcessor::leading_token() const {
  const bool has_one = !single_.empty() && single_.front().kind == Item::Kind::kTokens && !single_.front().ids.empty();
  return has_one ? std::optional(single_.front().ids.front()) : std::nullopt;
}

PostProcessor::Wrapped PostProcessor::fill(const Template& items, const std::vector<TokenId>& first,
                                           const std::vector<TokenId>& second) {
  Wrapped wrapped;
  for (const Item& item : items) {
    const std::vector<TokenId>& ids = item.kind == Item::Kind::kTokens  ? item.ids
                                      : item.kind == Item::Kind::kFirst ? first
                                                                        : second;
    wrapped.ids.insert(wrapped.ids.end(), ids.begin(), ids.end());
    wrapped.type_ids.insert(wrapped.type_ids.end(), ids.size(), item.type_id);
  }
  return wrapped;
}

PostProcessor::Wrapped PostProcessor::wrap(const std::vector<TokenId>& text) const { return fill(single_, text, {}); }

PostProcessor::Wrapped PostProcessor::wrap(const std::vector<TokenId>& first,
                                           const std::vector<TokenId>& second) const {
  return fill(pair_, first, second);
}

}  // namespace refrag

#include "model/bundle_spec.h"

#include <algorithm>
#include <vector>

#include "base/message.h"

namespace refrag {
namespace {

constexpr std::int64_t kMaxChunkSize = 512;
constexpr std::int64_t kMaxPassageTokens = 1 << 20;
constexpr std::int64_t kMaxHeads = 1024;

BundleSpec::Encoder read_encoder(JsonReader json) {
  BundleSpec::Encoder encoder;
  encoder.shared_tokenizer = json.one_of("tokenizer", {"shared", "own"}, 0) == 0;
  encoder.start = json.text("start", "");
  encoder.end = json.text("end", "");
  if (!encoder.shared_tokenizer && (json.has("start") || json.has("end"))) {
    json.fail(json.has("start") ? "start" : "end",
              "nothing beside \"tokenizer\": \"own\", which wraps each text by its own rule");
  }
  encoder.pooling = json.one_of("pooling", {"cls", "mean"}, 0) == 0 ? Pooling::kCls : Pooling::kMean;
  encoder.normalize = json.boolean("normalize", false);
  json.finish();
  return encoder;
}

// Reads a template and checks its place holders: each of `allowed` at most once, each of `required` exactly once.
std::string read_template(JsonReader& json, const std::string& name, const std::string& fallback,
                          const std::vector<std::string>& allowed, const std::string& required) {
  const std::string text = json.text(name, fallback);
  std::vector<TemplatePart> parts;
  try {
    parts = split_template(text, allowed);
  } catch (const Error& error) {
    json.fail(name, error.what());
  }
  for (const std::string& placeholder : allowed) {
    const auto count = std::count_if(parts.begin(), parts.end(), [&](const TemplatePart& part) {
      return part.kind == TemplatePart::Kind::kPlaceholder && part.text == placeholder;
    });
    if (count > 1 || (count == 0 && placeholder == required)) {
      json.fail(name, message("{", placeholder, "} ", placeholder == required ? "exactly" : "at most", " once"));
    }
  }
  return text;
}

PromptTemplate read_prompt(JsonReader json) {
  PromptTemplate prompt;
  prompt.text = read_template(json, "template", prompt.text, {"context", "question"}, "question");
  prompt.passage = read_template(json, "passage", prompt.passage, {"title", "text"}, "text");
  prompt.separator = json.text("separator", prompt.separator);
  prompt.query = read_template(json, "query", prompt.query, {"question"}, "question");
  prompt.answer = read_template(json, "answer", prompt.answer, {"answer"}, "answer");
  prompt.bos = json.boolean("bos", prompt.bos);
  json.finish();
  return prompt;
}

BundleSpec::Retrieval read_retrieval(JsonReader json) {
  BundleSpec::Retrieval retrieval;
  if (json.has("default")) {
    constexpr RetrieveMode kModes[] = {RetrieveMode::kHybrid, RetrieveMode::kDense, RetrieveMode::kLexical};
    retrieval.preferred = kModes[json.one_of("default", {"hybrid", "dense", "lexical"}, 0)];
  }
  retrieval.max_tokens = static_cast<std::size_t>(json.integer("max_tokens", 0, 0, kMaxPassageTokens));
  retrieval.query_prefix = json.text("query_prefix", "");
  retrieval.passage_prefix = json.text("passage_prefix", "");
  json.ignore("default");
  json.finish();
  return retrieval;
}

PolicyOptions read_policy(JsonReader json) {
  PolicyOptions policy;
  policy.reads_projected = json.one_of("input", {"projected", "encoder"}, 0) == 0;
  policy.question_aware = json.boolean("question_aware", true);
  policy.heads = static_cast<std::size_t>(json.integer("heads", 1, kMaxHeads));
  policy.norm_eps = json.number("layer_norm_eps", 1e-5, 0, 1);
  json.finish();
  return policy;
}

}  // namespace

BundleSpec parse_bundle_spec(const Json& value, const std::string& file) {
  JsonReader json(value, file + ": ", ErrorCode::kCorrupt);
  const std::int64_t version = json.integer("format_version", 1, std::numeric_limits<std::int32_t>::max());
  if (version != kBundleFormatVersion) {
    throw Error(ErrorCode::kUnsupported,
                message(json.path_of("format_version"), " is ", version, "; this build reads ", kBundleFormatVersion));
  }
  BundleSpec spec;
  spec.name = json.text("name");
  spec.chunk_size = static_cast<std::size_t>(json.integer("chunk_size", 0, 0, kMaxChunkSize));
  if (json.has("encoder") != (spec.chunk_size > 0)) {
    json.fail("chunk_size", "tokens a chunk, at least 1, with \"encoder\"; 0 or nothing without it");
  }
  if (json.has("encoder")) {
    spec.encoder = read_encoder(json.object("encoder"));
  }
  spec.prompt = read_prompt(json.object("prompt"));
  spec.passage_tokens = static_cast<std::size_t>(json.integer("passage_tokens", 256, 1, kMaxPassageTokens));
  spec.retrieval = read_retrieval(json.object("retrieval"));
  if (json.has("policy")) {
    spec.policy = read_policy(json.object("policy"));
  }
  for (const char* record : {"encoder", "policy", "evaluation", "training"}) {  // the last two are for people
    json.ignore(record);
  }
  json.finish();
  return spec;
}

BundleSpec read_bundle_spec(const std::filesystem::path& file) {
  return parse_bundle_spec(parse_json_file(file), file.string());
}

}  // namespace refrag

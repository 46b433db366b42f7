#include "train/config.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/cpu.h"
#include "base/message.h"
#include "model/model_options.h"
#include "refrag/error.h"

namespace refrag::train {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
constexpr std::array<const char*, 6> kStageNames = {"pretrain", "reconstruct", "cpt", "sft", "policy", "retriever"};
constexpr std::array<const char*, 5> kPartNames = {"decoder", "encoder", "projector", "policy", "retriever"};

[[noreturn]] void contradict(const std::string& field, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, message(field, " ", why), field);
}

/// Puts the value of "a.b=VALUE" in its place.
void apply_override(Json& json, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw Error(ErrorCode::kInvalidArgument, message("--set ", text, "; expected key=value, such as run.seed=2"),
                "--set");
  }
  Json value = Json::parse(text.substr(equals + 1), nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) value = text.substr(equals + 1);
  Json* place = &json;
  std::size_t begin = 0;
  const std::string key = text.substr(0, equals);
  for (std::size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.', begin)) {
    const std::string part = key.substr(begin, dot - begin);
    if (value.is_null() && !place->contains(part)) return;  // nothing to take out
    place = &(*place)[part];
    if (!place->is_object() && !place->is_null()) contradict(key, "cannot be set: what is before its dot is no object");
    begin = dot + 1;
  }
  if (!value.is_null()) {
    (*place)[key.substr(begin)] = std::move(value);
  } else if (place->is_object()) {
    place->erase(key.substr(begin));
  }
}

std::vector<std::filesystem::path> paths_of(JsonReader& json, const std::string& name) {
  std::vector<std::filesystem::path> paths;
  for (const std::string& text : json.texts(name)) paths.emplace_back(text);
  return paths;
}

/// A number, or [least, most].
Range range_of(JsonReader& json, const std::string& name, Range fallback, double least, double most) {
  const Json& value = json.value(name);
  if (value.is_null()) return fallback;
  if (value.is_number()) {
    const double both = json.number(name, least, most);
    return {both, both};
  }
  const bool is_pair = value.is_array() && value.size() == 2 && value[0].is_number() && value[1].is_number();
  if (is_pair) {
    const Range range{value[0].get<double>(), value[1].get<double>()};
    if (range.least >= least && range.least <= range.most && range.most <= most) return range;
  }
  json.fail(name, message("a number or [least, most] within ", least, " to ", most));
}

StartConfig::NewDecoder read_new_decoder(JsonReader json) {
  StartConfig::NewDecoder decoder;
  decoder.width = json.integer("width", 2, 1 << 16);
  decoder.layers = json.integer("layers", 1, 1024);
  decoder.heads = json.integer("heads", 1, 1024);
  decoder.kv_heads = json.integer("kv_heads", decoder.heads, 1, 1024);
  decoder.ffn_width = json.integer("ffn_width", 1, 1 << 18);
  decoder.positions = json.integer("positions", 4096, 1, 1 << 20);
  decoder.tied_embeddings = json.boolean("tied_embeddings", true);
  if (decoder.width % (2 * decoder.heads) != 0) json.fail("heads", "a divisor of width that gives heads of even width");
  if (decoder.heads % decoder.kv_heads != 0) json.fail("kv_heads", "a divisor of heads");
  json.finish();
  return decoder;
}

StartConfig::NewEncoder read_new_encoder(JsonReader json) {
  StartConfig::NewEncoder encoder;
  encoder.width = json.integer("width", 1, 1 << 16);
  encoder.layers = json.integer("layers", 1, 1024);
  encoder.heads = json.integer("heads", 1, 1024);
  encoder.ffn_width = json.integer("ffn_width", 4 * encoder.width, 1, 1 << 18);
  encoder.slots = json.boolean("slots", false);
  if (encoder.width % encoder.heads != 0) json.fail("heads", "a divisor of width");
  json.finish();
  return encoder;
}

StartConfig::NewPolicy read_new_policy(JsonReader json) {
  StartConfig::NewPolicy policy;
  policy.heads = json.integer("heads", 1, 1024);
  policy.ffn_width = json.integer("ffn_width", 1, 1 << 18);
  policy.positions = json.integer("positions", 512, 1, 1 << 16);
  policy.reads_projected = json.one_of("input", {"projected", "encoder"}, 0) == 0;
  policy.question_aware = json.boolean("question_aware", true);
  json.finish();
  return policy;
}

StartConfig::NewRetriever read_new_retriever(JsonReader json) {
  StartConfig::NewRetriever retriever;
  retriever.width = json.integer("width", 1, 1 << 16);
  retriever.layers = json.integer("layers", 1, 1024);
  retriever.heads = json.integer("heads", 1, 1024);
  retriever.ffn_width = json.integer("ffn_width", 4 * retriever.width, 1, 1 << 18);
  retriever.positions = json.integer("positions", 256, 8, 1 << 16);
  if (retriever.width % retriever.heads != 0) json.fail("heads", "a divisor of width");
  json.finish();
  return retriever;
}

StartConfig read_start(JsonReader json) {
  StartConfig start;
  start.bundle = json.text("bundle", "");
  start.tokenizer = json.text("tokenizer", "");
  if (json.has("decoder") && json.json()["decoder"].is_object()) {
    start.new_decoder = read_new_decoder(json.object("decoder"));
  } else {
    start.decoder = json.text("decoder", "");
  }
  if (json.has("encoder") && json.json()["encoder"].is_object()) {
    start.new_encoder = read_new_encoder(json.object("encoder"));
  } else {
    start.encoder = json.text("encoder", "");
  }
  start.projector_width = json.integer("projector_width", 0, 0, 1 << 18);
  if (json.has("retriever") && json.json()["retriever"].is_object()) {
    start.new_retriever = read_new_retriever(json.object("retriever"));
  } else {
    start.retriever = json.text("retriever", "");
  }
  if (json.has("policy")) start.new_policy = read_new_policy(json.object("policy"));
  start.chunk_size = json.integer("chunk_size", 0, 0, 512);
  for (const char* name : {"name", "prompt", "passage_tokens", "retrieval"}) {
    if (json.has(name)) start.spec[name] = json.value(name);
    json.ignore(name);
  }
  const bool has_decoder = start.new_decoder || !start.decoder.empty();
  const bool has_encoder = start.new_encoder || !start.encoder.empty();
  if (start.bundle.empty() == !has_decoder) {
    contradict(json.path_of("bundle"), start.bundle.empty()
                                           ? "is missing, and so is start.decoder; expected one of them to begin with"
                                           : "has a decoder; expected no start.decoder beside it");
  }
  if (start.new_decoder && start.tokenizer.empty()) json.fail("tokenizer", "a directory, with a new decoder");
  if (!start.new_decoder && !start.tokenizer.empty()) {
    contradict(json.path_of("tokenizer"), "goes with a new decoder alone; a checkpoint brings its own");
  }
  if (start.new_encoder && start.new_encoder->slots && start.projector_width > 0) {
    contradict(json.path_of("projector_width"), "is twice the width with start.encoder.slots; expected none");
  }
  if (has_encoder && start.chunk_size == 0) json.fail("chunk_size", "tokens a chunk, with a new encoder");
  if (!has_encoder && start.projector_width > 0) {
    contradict(json.path_of("projector_width"), "goes with start.encoder, which makes a new projector");
  }
  if (!has_encoder && start.chunk_size > 0) {
    contradict(json.path_of("chunk_size"), "goes with start.encoder; the bundle has its own");
  }
  json.finish();
  return start;
}

DataConfig read_data(JsonReader json, Stage stage) {
  DataConfig data;
  data.cache = json.text("cache", data.cache.string());
  data.position = static_cast<std::uint64_t>(json.integer("position", 0, 0, std::numeric_limits<std::int64_t>::max()));
  const bool reads_questions = stage == Stage::kSft || stage == Stage::kPolicy || stage == Stage::kRetriever;
  if (reads_questions) {
    data.questions = paths_of(json, "questions");
    data.documents = paths_of(json, "documents");
    if (data.questions.empty()) json.fail("questions", "at least one JSONL file");
  }
  if (!reads_questions || stage == Stage::kSft) {
    data.text = paths_of(json, "text");
    data.join = json.boolean("join", false);
    if (data.text.empty() && !reads_questions) json.fail("text", "at least one file");
  }
  json.finish();
  return data;
}

OptimizerConfig read_optimizer(JsonReader json) {
  OptimizerConfig optimizer;
  optimizer.learning_rate = json.number("learning_rate", 0, 10);
  optimizer.final_share = json.number("final_share", optimizer.final_share, 0, 1);
  optimizer.warmup = json.number("warmup", optimizer.warmup, 0, 1);
  optimizer.weight_decay = json.number("weight_decay", optimizer.weight_decay, 0, 10);
  optimizer.beta1 = json.number("beta1", optimizer.beta1, 0, 0.9999999);
  optimizer.beta2 = json.number("beta2", optimizer.beta2, 0, 0.9999999);
  optimizer.epsilon = json.number("epsilon", optimizer.epsilon, 0, 1);
  optimizer.clip = json.number("clip", optimizer.clip, 0, 1e9);
  json.finish();
  return optimizer;
}

RunConfig read_run(JsonReader json) {
  RunConfig run;
  run.seed = static_cast<std::uint64_t>(json.integer("seed", 1, 0, std::numeric_limits<std::int64_t>::max()));
  run.threads = static_cast<std::size_t>(json.integer("threads", 0, 0, 1024));
  const std::size_t dtype = json.one_of("dtype", {"auto", "fp32", "bf16"}, 0);
  const std::size_t device = json.one_of("device", {"auto", "cpu", "cuda"}, 0);
  if (device == 2 && !has_cuda()) {
    throw Error(ErrorCode::kUnsupported, "run.device is cuda; this build's libtorch or this machine has no CUDA",
                "run.device");
  }
  run.cuda = device == 2 || (device == 0 && has_cuda());
  // Emulated bf16 is several times slower than fp32.
  run.bf16 = dtype == 2 || (dtype == 0 && (run.cuda || cpu_features().avx512_bf16 || cpu_features().amx_bf16));
  run.recompute = json.boolean("recompute", false);
  run.checkpoint_every = static_cast<std::uint64_t>(json.integer("checkpoint_every", 500, 1, kMost));
  run.log_every = static_cast<std::uint64_t>(json.integer("log_every", 10, 1, kMost));
  run.divergence = json.number("divergence", run.divergence, 0, 1e9);
  json.finish();
  return run;
}

RetrieverConfig read_retriever_stage(JsonReader json) {
  RetrieverConfig retriever;
  retriever.pairs = json.integer("pairs", retriever.pairs, 2, 65536);
  retriever.negatives = json.integer("negatives", retriever.negatives, 0, 1024);
  retriever.temperature = json.number("temperature", retriever.temperature, 1e-4, 100);
  json.finish();
  return retriever;
}

LoraConfig read_lora(JsonReader json) {
  LoraConfig lora;
  lora.rank = json.integer("rank", lora.rank, 1, 4096);
  lora.alpha = json.number("alpha", lora.alpha, 0, 1e6);
  json.finish();
  return lora;
}

ContextConfig read_context(JsonReader json, bool is_cpt) {
  ContextConfig context;
  context.curriculum = json.boolean("curriculum", true);
  context.even_pace = json.one_of("pace", {"table", "even"}, 0) == 1;
  context.max_chunks = json.integer("max_chunks", is_cpt ? 256 : 32, 1, 1 << 16);
  if (!context.curriculum && json.has("pace")) {
    contradict(json.path_of("pace"), "is the curriculum's, and curriculum is false");
  }
  if (is_cpt) {
    context.target = json.integer("target", 1, 1 << 20);
    context.expand = json.number("expand", 0, 0, 1);
    context.full = json.number("full", 0, 0, 1);
    context.none = json.number("none", 0, 0, 1);
    if (context.full + context.none > 1) contradict(json.path_of("full"), "and none are more than 1 together");
  }
  json.finish();
  return context;
}

QuestionConfig read_questions(JsonReader json) {
  QuestionConfig questions;
  questions.passages = range_of(json, "passages", questions.passages, 1, 1024);
  questions.questions = json.integer("questions", 1, 1, 256);
  questions.expand = range_of(json, "expand", questions.expand, 0, 1);
  questions.text = json.number("text", 0, 0, 1);
  questions.full = json.number("full", 0, 0, 1);
  questions.none = json.number("none", 0, 0, 1);
  questions.answer = json.number("answer", 0, 0, 1);
  questions.reconstruct = json.number("reconstruct", 0, 0, 1);
  questions.reconstruct_chunks = json.integer("reconstruct_chunks", questions.reconstruct_chunks, 1, 1 << 16);
  if (json.has("reconstruct_chunks") && questions.reconstruct == 0) {
    contradict(json.path_of("reconstruct_chunks"), "goes with reconstruct above 0");
  }
  questions.missing = json.number("missing", 0, 0, 1);
  questions.refusal = json.text("refusal", "");
  const double others = questions.full + questions.none + questions.answer + questions.reconstruct;
  if (questions.text == 1 && others + questions.missing > 0) {
    contradict(json.path_of("text"), "is 1, which leaves nothing to the shares beside it");
  }
  if (others > 1) {
    contradict(json.path_of("full"), "and none, answer and reconstruct are more than 1 together");
  }
  if ((questions.missing > 0) != !questions.refusal.empty()) {
    contradict(json.path_of("refusal"), "goes with missing: what is answered where no passage helps");
  }
  json.finish();
  return questions;
}

/// Running text beside the questions has cpt's own section.
void read_text_of_sft(JsonReader& json, TrainConfig& config) {
  const bool has_text = config.questions.text > 0;
  if (has_text && config.data.text.empty()) {
    contradict("data.text", "is missing; expected at least one file, with sft.text above 0");
  }
  if (!has_text && (!config.data.text.empty() || config.data.join)) {
    contradict(config.data.join ? "data.join" : "data.text", "goes with sft.text above 0, the share of its examples");
  }
  if (has_text) config.context = read_context(json.object("cpt"), /*is_cpt=*/true);
}

PolicyConfig read_policy_stage(JsonReader json, std::uint64_t steps) {
  PolicyConfig policy;
  policy.questions = json.integer("questions", policy.questions, 1, 4096);
  policy.group = json.integer("group", policy.group, 2, 256);
  policy.updates = json.integer("updates", policy.updates, 1, 64);
  policy.clip = json.number("clip", policy.clip, 1e-6, 1);
  policy.deviation_of_step = json.one_of("deviation", {"group", "step"}, 0) == 1;
  policy.budget = range_of(json, "budget", policy.budget, 0, 1);
  policy.passages = range_of(json, "passages", policy.passages, 1, 1024);
  policy.partial = json.number("partial", 0, 0, 1);
  policy.warm_steps = json.integer("warm_steps", 0, 0, kMost);
  const auto warm_steps = static_cast<std::uint64_t>(policy.warm_steps);
  if (warm_steps > steps) contradict(json.path_of("warm_steps"), "is more than steps");
  for (const char* key : {"group", "updates", "clip", "deviation"}) {
    if (warm_steps == steps && json.has(key)) {
      contradict(json.path_of(key), "is GRPO's, and warm_steps makes all steps supervised");
    }
  }
  policy.evaluate_every = static_cast<std::uint64_t>(json.integer("evaluate_every", 50, 1, kMost));
  policy.evaluation_questions = json.integer("evaluation_questions", policy.evaluation_questions, 1, 65536);
  policy.evaluation_budget = json.number("evaluation_budget", policy.evaluation_budget, 0, 1);
  json.finish();
  return policy;
}

std::set<Part> default_parts(Stage stage) {
  switch (stage) {
    case Stage::kPretrain:
      return {Part::kDecoder};
    case Stage::kReconstruct:
      return {Part::kEncoder, Part::kProjector};
    case Stage::kCpt:
    case Stage::kSft:
      return {Part::kDecoder, Part::kEncoder, Part::kProjector};
    case Stage::kPolicy:
      return {Part::kPolicy};
    case Stage::kRetriever:
      return {Part::kRetriever};
  }
  return {};
}

std::set<Part> read_parts(JsonReader& json, Stage stage) {
  std::set<Part> parts;
  for (const std::string& word : json.texts("train")) {
    const auto found = std::find(kPartNames.begin(), kPartNames.end(), word);
    if (found == kPartNames.end()) {
      contradict("train", message("has \"", word, "\"; expected decoder, encoder, projector, policy, retriever"));
    }
    const auto part = static_cast<Part>(found - kPartNames.begin());
    const std::set<Part> own = default_parts(stage);
    const bool is_apart = part == Part::kPolicy || part == Part::kRetriever;  // trained by the stage of that name alone
    const bool takes_apart = own.contains(Part::kPolicy) || own.contains(Part::kRetriever);
    if ((is_apart || takes_apart) && !own.contains(part)) {
      contradict("train", message("has \"", word, "\", which the stage ", name_of(stage), " does not train"));
    }
    if (stage == Stage::kPretrain && part != Part::kDecoder) {
      contradict("train", message("has \"", word, "\"; pretrain reads no chunks: it trains the decoder"));
    }
    parts.insert(part);
  }
  return parts.empty() ? default_parts(stage) : parts;
}

}  // namespace

const char* name_of(Stage stage) { return kStageNames.at(static_cast<std::size_t>(stage)); }
const char* name_of(Part part) { return kPartNames.at(static_cast<std::size_t>(part)); }

Stage parse_stage(const std::string& word) {
  const auto found = std::find(kStageNames.begin(), kStageNames.end(), word);
  if (found == kStageNames.end()) {
    throw Error(ErrorCode::kInvalidArgument,
                message("STAGE is \"", word, "\"; expected pretrain, reconstruct, cpt, sft, policy or retriever"),
                "STAGE");
  }
  return static_cast<Stage>(found - kStageNames.begin());
}

TrainConfig parse_train_config(Stage stage, Json value, const std::vector<std::string>& overrides) {
  if (!value.is_object()) throw Error(ErrorCode::kInvalidArgument, "the training config is no JSON object");
  for (const std::string& text : overrides) apply_override(value, text);
  TrainConfig config;
  config.stage = stage;
  config.json = value;
  JsonReader json(config.json);
  if (json.has("stage") && json.text("stage") != name_of(stage)) {
    json.fail("stage", message("\"", name_of(stage), "\", the stage that was asked for"));
  }
  json.ignore("stage");
  json.ignore("comment");
  config.out = json.text("out");
  if (config.out.empty()) json.fail("out", "a directory");
  config.start = read_start(json.object("start"));
  config.data = read_data(json.object("data"), stage);
  config.train_is_default = !json.has("train");
  config.train = read_parts(json, stage);
  config.steps = static_cast<std::uint64_t>(json.integer("steps", 1, kMost));
  {
    JsonReader batch = json.object("batch");
    config.batch_tokens = batch.integer("tokens", config.batch_tokens, 2, 1 << 24);
    config.accumulate = batch.integer("accumulate", 1, 1, 65536);
    if ((stage == Stage::kPolicy || stage == Stage::kRetriever) && batch.has("accumulate")) {
      contradict(batch.path_of("accumulate"),
                 "is not for policy and retriever, which say how many questions a step has");
    }
    batch.finish();
  }
  config.optimizer = read_optimizer(json.object("optimizer"));
  if (json.has("lora")) {
    config.lora = read_lora(json.object("lora"));
    if ((stage != Stage::kCpt && stage != Stage::kSft) || !config.train.contains(Part::kDecoder)) {
      contradict("lora", "is for the decoder in cpt and sft; expected one of them, with the decoder in train");
    }
  }
  json.ignore("lora");
  config.run = read_run(json.object("run"));
  {
    JsonReader save = json.object("save");
    config.save_bf16 = save.one_of("dtype", {"fp32", "bf16"}, 0) == 1;
    save.finish();
  }
  JsonReader own = json.object(name_of(stage));
  switch (stage) {
    case Stage::kPretrain:
      config.pretrain_context = own.integer("context", config.pretrain_context, 2, 1 << 20);
      config.pretrain_repeats = own.number("repeats", 0, 0, 1);
      own.finish();
      break;
    case Stage::kReconstruct:
    case Stage::kCpt:
      config.context = read_context(std::move(own), stage == Stage::kCpt);
      break;
    case Stage::kSft:
      config.questions = read_questions(std::move(own));
      read_text_of_sft(json, config);
      break;
    case Stage::kPolicy:
      config.policy = read_policy_stage(std::move(own), config.steps);
      break;
    case Stage::kRetriever:
      config.retriever = read_retriever_stage(std::move(own));
      break;
  }
  json.finish();
  return config;
}

Json read_config_json(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  Json json;
  try {
    json = parse_json_file(file);
  } catch (const Error& error) {
    throw Error(error.code() == ErrorCode::kCorrupt ? ErrorCode::kInvalidArgument : error.code(), error.what(),
                "--config");
  }
  if (!json.is_object()) throw Error(ErrorCode::kInvalidArgument, "the training config is no JSON object", "--config");
  for (const std::string& text : overrides) apply_override(json, text);
  return json;
}

TrainConfig read_train_config(Stage stage, const std::filesystem::path& file,
                              const std::vector<std::string>& overrides) {
  return parse_train_config(stage, read_config_json(file, overrides), {});
}

}  // namespace refrag::train

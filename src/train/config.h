#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/json_reader.h"

namespace refrag::train {

enum class Stage { kPretrain, kReconstruct, kCpt, kSft, kPolicy, kRetriever };
const char* name_of(Stage stage);
Stage parse_stage(const std::string& word);  // throws kInvalidArgument naming the stages

/// What of a bundle can learn.
enum class Part { kDecoder, kEncoder, kProjector, kPolicy, kRetriever };
const char* name_of(Part part);

struct Range {
  double least = 0;
  double most = 0;
};

/// What a run begins with: a bundle, or parts of Hugging Face checkpoints, or parts with random weights.
struct StartConfig {
  struct NewDecoder {  // LlamaForCausalLM
    std::int64_t width = 0, layers = 0, heads = 0, kv_heads = 0, ffn_width = 0, positions = 0;
    bool tied_embeddings = true;
  };
  struct NewEncoder {  // RobertaModel that reads the decoder's token ids
    std::int64_t width = 0, layers = 0, heads = 0, ffn_width = 0;
    bool slots = false;  // begins by copying each token of a chunk to a place of its own
  };
  struct NewPolicy {
    std::int64_t heads = 0, ffn_width = 0, positions = 512;
    bool reads_projected = true, question_aware = true;
  };
  struct NewRetriever {  // RobertaModel with the decoder's tokenizer, mean pooling
    std::int64_t width = 0, layers = 0, heads = 0, ffn_width = 0, positions = 0;
  };
  std::filesystem::path bundle;     // with `bundle`, what follows adds the parts that it lacks
  std::filesystem::path tokenizer;  // a directory; needed with new_decoder
  std::filesystem::path decoder;    // a directory
  std::optional<NewDecoder> new_decoder;
  std::filesystem::path encoder;  // a directory, with its own tokenizer
  std::optional<NewEncoder> new_encoder;
  std::int64_t projector_width = 0;  // 0: the decoder's width (the paper)
  std::optional<NewPolicy> new_policy;
  std::filesystem::path retriever;  // a directory, as sentence-transformers has it
  std::optional<NewRetriever> new_retriever;
  std::int64_t chunk_size = 0;  // k; 0: the bundle's
  Json spec = Json::object();   // name, prompt, passage_tokens, retrieval: put into refrag.json as they are
};

struct DataConfig {
  std::vector<std::filesystem::path> text;       // JSONL with `text`, or files and folders of documents
  std::vector<std::filesystem::path> questions;  // JSONL: question, answers, passages or document
  std::vector<std::filesystem::path> documents;  // JSONL: id, title, text; what `document` names and distractors are
  std::filesystem::path cache = ".cache/train";  // token shards, one folder a content
  std::uint64_t position = 0;                    // examples to pass over: where an earlier run over the same data ended
  bool join = false;  // text: documents end to end, for corpora of short ones; else each example is of one document
};

struct OptimizerConfig {
  double learning_rate = 0;
  double final_share = 0.0;  // of the learning rate, at the last step
  double warmup = 0.04;      // share of the steps
  double weight_decay = 0.01;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double clip = 1.0;  // global gradient norm; 0: none
};

struct RunConfig {
  std::uint64_t seed = 1;
  std::size_t threads = 0;  // 0: one a physical core
  bool cuda = false;        // else the CPU
  bool bf16 = false;        // autocast
  bool recompute = false;   // activation checkpointing in the decoder
  std::uint64_t checkpoint_every = 500;
  std::uint64_t log_every = 10;
  double divergence = 4.0;  // nats by which the running loss may rise above its lowest; 0: never stops for it
};

/// reconstruct and cpt, and the running text of sft.
struct ContextConfig {
  bool curriculum = true;
  bool even_pace = false;  // each stage takes as many steps; else as many as its share of the table's chunks
  std::int64_t max_chunks = 256;
  std::int64_t target = 0;  // cpt: o, tokens to predict
  double expand = 0;        // cpt: share p of the chunks that are tokens
  double full = 0;          // cpt: share of examples with all of them as tokens
  double none = 0;          // cpt: share of examples without context
};

struct QuestionConfig {
  double text = 0;             // share of examples that are running text, as `context` has it
  Range passages = {8, 8};     // in a context, where the data names documents
  std::int64_t questions = 1;  // that share a context
  Range expand = {0, 0.25};    // share of chunks that are tokens, at random
  double full = 0;             // of the others, shares: all chunks as tokens,
  double none = 0;             // no passages,
  double answer = 0;           // the answers' chunks as tokens, and a random share as `expand` says,
  double reconstruct = 0;      // chunks of the passages (or the text), written back as in the stage reconstruct,
  std::int64_t reconstruct_chunks = 8;  // at most, of an example
  double missing = 0;                   // and of questions: none of the passages is the right one
  std::string refusal;                  // the answer then; needed with `missing`
};

struct PolicyConfig {
  std::int64_t questions = 8;      // states a step
  std::int64_t group = 8;          // G
  std::int64_t updates = 2;        // of the weights a step
  double clip = 0.2;               // epsilon
  bool deviation_of_step = false;  // advantages: over one deviation for all groups of a step, else each over its own
  Range budget = {0.05, 0.25};
  Range passages = {8, 8};
  double partial = 0;           // share of states that have a part of the answer behind the question
  std::int64_t warm_steps = 0;  // first steps: supervised, on which chunks hold the answer
  std::uint64_t evaluate_every = 50;
  std::int64_t evaluation_questions = 64;
  double evaluation_budget = 0.1;
};

struct RetrieverConfig {
  std::int64_t pairs = 32;     // questions with their passage, a step; each passage is a negative of the others
  std::int64_t negatives = 2;  // of each question, from the distractors that the data names
  double temperature = 0.05;
};

/// Low-rank adapters in the decoder, for cpt and sft.
struct LoraConfig {
  std::int64_t rank = 8;
  double alpha = 16;
};

/// A whole training run, as its JSON file says. Everything in it was checked: what contradicts itself was refused.
struct TrainConfig {
  Stage stage = Stage::kPretrain;
  std::filesystem::path out;  // checkpoint, log and bundle go there
  StartConfig start;
  DataConfig data;
  std::set<Part> train;
  bool train_is_default = true;
  std::uint64_t steps = 0;
  std::int64_t batch_tokens = 4096;  // decoder positions a forward pass, at most
  std::int64_t accumulate = 1;       // passes a step
  OptimizerConfig optimizer;
  std::optional<LoraConfig> lora;
  RunConfig run;
  bool save_bf16 = false;
  std::int64_t pretrain_context = 1024;  // tokens a sequence, at most
  double pretrain_repeats = 0;           // share of sequences that are random tokens, said again and again
  ContextConfig context;
  QuestionConfig questions;
  PolicyConfig policy;
  RetrieverConfig retriever;
  Json json;  // as it was given, with `--set`: its digest ties a checkpoint to it
};

/// A config file as JSON, with `overrides` in place of what it says.
Json read_config_json(const std::filesystem::path& file, const std::vector<std::string>& overrides);

/// "run.seed=2" in `overrides` sets one value: JSON where it is JSON, else text; "sft.text=null" takes it out. Throws
/// kInvalidArgument naming the field that is unknown, of a wrong type or range, or that contradicts another one.
TrainConfig read_train_config(Stage stage, const std::filesystem::path& file,
                              const std::vector<std::string>& overrides);
TrainConfig parse_train_config(Stage stage, Json json, const std::vector<std::string>& overrides);

}  // namespace refrag::train

#include "train/train_model.h"

#include <ATen/ATen.h>
#include <ATen/autocast_mode.h>

#include <algorithm>
#include <string>

#include "base/files.h"
#include "base/message.h"
#include "model/bundle_layout.h"
#include "model/safetensors.h"
#include "model/sentence_transformer.h"
#include "refrag/error.h"

namespace refrag::train {
namespace {

namespace fs = std::filesystem;

/// Where the weights of each part lie in a bundle.
fs::path weights_of(const fs::path& bundle, Part part) {
  switch (part) {
    case Part::kDecoder:
      return bundle / "decoder" / "model.safetensors";
    case Part::kEncoder:
      return bundle / "encoder" / "model.safetensors";
    case Part::kProjector:
      return bundle / "projector.safetensors";
    case Part::kPolicy:
      return bundle / "policy.safetensors";
    case Part::kRetriever:
      return read_sentence_transformer(bundle / "retriever").encoder / "model.safetensors";
  }
  return {};
}

bool is_whole_model(Part part) { return part != Part::kProjector && part != Part::kPolicy; }

std::map<std::string, at::Tensor> stored_as(std::map<std::string, at::Tensor> tensors, bool bf16) {
  for (auto& [name, tensor] : tensors) {
    if (bf16 && tensor.is_floating_point()) tensor = tensor.to(at::kBFloat16);
  }
  return tensors;
}

std::map<std::string, at::Tensor> all_tensors(const Checkpoint& checkpoint) {
  std::map<std::string, at::Tensor> tensors;
  for (const std::string& name : checkpoint.names()) tensors.emplace(name, checkpoint.tensor(name));
  return tensors;
}

/// One file in place of whatever files held a part's weights before.
void write_weights(const fs::path& bundle, Part part, const std::map<std::string, at::Tensor>& tensors, bool bf16) {
  const fs::path file = weights_of(bundle, part);
  if (is_whole_model(part)) {
    for (const fs::directory_entry& entry : fs::directory_iterator(file.parent_path())) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".safetensors") || name.ends_with(".safetensors.index.json")) fs::remove(entry.path());
    }
    const fs::path config_file = file.parent_path() / "config.json";
    Json config = parse_json_file(config_file);
    config.erase("dtype");
    config["torch_dtype"] = bf16 ? "bfloat16" : "float32";
    write_file_atomic(config_file, config.dump(1) + "\n");
  }
  write_safetensors(file, stored_as(tensors, bf16));
}

}  // namespace

TrainModel::TrainModel(const fs::path& bundle, const TrainConfig& config)
    : source_(bundle),
      bundle_(ModelBundle::load(bundle, {.dtype = Dtype::kFp32,
                                         .device = config.run.cuda ? Device::kCuda : Device::kCpu,
                                         .threads = config.run.threads,
                                         .trainable = true})) {
  const ModelBundle::Parts& parts = this->parts();
  const auto add = [&](Part part, bool is_there, const auto& parameters) {
    if (!config.train.contains(part)) return;
    if (is_there) {
      trained_.emplace(part, parameters());
    } else if (!config.train_is_default || part == Part::kPolicy || part == Part::kRetriever ||
               config.stage == Stage::kReconstruct) {
      throw Error(ErrorCode::kUnsupported,
                  message("the stage ", name_of(config.stage), " trains the ", name_of(part),
                          ", and the bundle it starts from has none (start.",
                          part == Part::kProjector ? "encoder" : name_of(part), " makes one)"));
    }
  };
  add(Part::kDecoder, parts.decoder != nullptr, [&] { return parts.decoder->parameters(); });
  add(Part::kEncoder, parts.chunk_encoder != nullptr, [&] { return parts.chunk_encoder->parameters(); });
  add(Part::kProjector, parts.projector != nullptr, [&] { return parts.projector->parameters(); });
  add(Part::kPolicy, parts.policy != nullptr, [&] { return parts.policy->parameters(); });
  add(Part::kRetriever, parts.retriever != nullptr && parts.retriever->config() != nullptr,
      [&] { return parts.retriever->parameters(); });
  for (const auto& [part, parameters] : trained_) {
    if (part == Part::kDecoder && config.lora) {
      lora_.emplace(parameters, "decoder/", config.lora->rank, config.lora->alpha, config.run.seed + 4);
      continue;
    }
    for (const Parameter& parameter : parameters) at::Tensor(parameter.value).requires_grad_(true);
  }
}

TokenId TrainModel::eos() const {
  const std::vector<TokenId>& ids = decoder().config().eos_ids;
  const auto own = parts().tokenizer->eos();
  if (own && (ids.empty() || std::find(ids.begin(), ids.end(), *own) != ids.end())) return *own;
  if (ids.empty()) throw Error(ErrorCode::kUnsupported, "the decoder names no EOS token, so it could not learn to end");
  return ids.front();
}

ModelInfo TrainModel::info() const {
  ModelInfo info;
  info.name = parts().name;
  info.chunk_size = parts().chunk_size;
  info.tokenizer = parts().tokenizer;
  info.chat_template = parts().chat_template;
  info.prompt = parts().prompt;
  info.passage_tokens = parts().passage_tokens;
  info.context_length = static_cast<std::size_t>(decoder().config().max_positions);
  return info;
}

at::Tensor TrainModel::project(const std::vector<std::vector<TokenId>>& chunks) const {
  return parts().projector->forward(encode(chunks));
}

std::vector<NamedTensor> TrainModel::trained() const {
  std::vector<NamedTensor> weights = lora_ ? lora_->weights() : std::vector<NamedTensor>();
  for (const auto& [part, parameters] : trained_) {
    if (part == Part::kDecoder && lora_) continue;
    for (const Parameter& parameter : parameters) {
      weights.push_back({message(name_of(part), '/', parameter.name()), parameter.value});
    }
  }
  return weights;
}

void TrainModel::write_bundle(const fs::path& directory, bool bf16, const Json& record) const {
  const fs::path unfinished = directory.string() + ".tmp";
  fs::remove_all(unfinished);
  fs::copy(source_, unfinished, fs::copy_options::recursive);
  for (const Part part : {Part::kDecoder, Part::kEncoder, Part::kProjector, Part::kPolicy, Part::kRetriever}) {
    const auto found = trained_.find(part);
    const fs::path place =
        is_whole_model(part) ? weights_of(unfinished, part).parent_path() : weights_of(unfinished, part);
    if (found != trained_.end()) {
      write_weights(unfinished, part, stored_tensors(found->second), bf16);
    } else if (bf16 && fs::exists(place)) {
      const std::map<std::string, at::Tensor> tensors = stored_as(all_tensors(Checkpoint::open(place)), bf16);
      write_weights(unfinished, part, tensors, bf16);
    }
  }
  Json spec = parse_json_file(unfinished / "refrag.json");
  if (!spec["training"].is_object() || !spec["training"]["stages"].is_array()) {
    spec["training"] = {{"stages", Json::array()}};
  }
  spec["training"]["stages"].push_back(record);
  write_file_atomic(unfinished / "refrag.json", spec.dump(1) + "\n");
  const fs::path old = directory.string() + ".old";
  fs::remove_all(old);
  if (fs::exists(directory)) fs::rename(directory, old);
  fs::rename(unfinished, directory);
  sync_directory(directory.parent_path());
  fs::remove_all(old);
}

Autocast::Autocast(const RunConfig& run) : enabled_(run.bf16), device_(run.cuda ? at::kCUDA : at::kCPU) {
  if (!enabled_) return;
  at::autocast::set_autocast_dtype(device_, at::kBFloat16);
  at::autocast::set_autocast_enabled(device_, true);
  at::autocast::increment_nesting();
}

Autocast::~Autocast() {
  if (!enabled_) return;
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(device_, false);
}

}  // namespace refrag::train

#pragma once
#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "engine/model_runner.h"
#include "model/parts.h"
#include "refrag/model_bundle.h"
#include "train/adamw.h"
#include "train/config.h"
#include "train/lora.h"

namespace refrag::train {

/// The modules that serve, loaded in fp32, with gradients where the config trains.
class TrainModel {
 public:
  /// Throws kUnsupported where the bundle lacks a part that the config trains.
  TrainModel(const std::filesystem::path& bundle, const TrainConfig& config);

  const ModelBundle::Parts& parts() const { return bundle_->parts(); }
  const LlamaDecoder& decoder() const { return *parts().decoder; }
  const ExpansionPolicy& policy() const { return *parts().policy; }
  bool has_encoder() const { return parts().chunk_encoder != nullptr && parts().projector != nullptr; }
  std::size_t chunk_size() const { return parts().chunk_size; }
  TokenId eos() const;
  /// What the prompt's layout depends on.
  ModelInfo info() const;

  /// Chunks of ids to vectors of the decoder's space, [chunks, d]. With gradients as the parts have them.
  at::Tensor project(const std::vector<std::vector<TokenId>>& chunks) const;
  at::Tensor encode(const std::vector<std::vector<TokenId>>& chunks) const {
    return parts().chunk_encoder->encode(chunks);
  }

  std::vector<NamedTensor> trained() const;  // what the optimizer changes
  const std::optional<LoraAdapters>& lora() const { return lora_; }
  /// Writes a bundle with the weights as they are now: the other files are those of the bundle that was loaded.
  /// `record` goes to refrag.json's "training".
  void write_bundle(const std::filesystem::path& directory, bool bf16, const Json& record) const;

 private:
  std::filesystem::path source_;
  std::shared_ptr<const ModelBundle> bundle_;
  std::map<Part, Parameters> trained_;
  std::optional<LoraAdapters> lora_;  // in the decoder
};

/// bf16 autocast on the run's device while it lives, where the run computes in bf16.
class Autocast {
 public:
  explicit Autocast(const RunConfig& run);
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;
  ~Autocast();

 private:
  bool enabled_;
  at::DeviceType device_;
};

}  // namespace refrag::train

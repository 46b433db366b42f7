#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/json_reader.h"
#include "bench/costs.h"
#include "bench/synthetic_tokenizer.h"
#include "refrag/model_bundle.h"

namespace refrag::bench {

/// config.json of a decoder by the name of a published shape ("tiny", "smollm2", "tinyllama", "llama2-7b"), or from a
/// file or a model's directory. Throws kNotFound naming what is known.
Json decoder_config(const std::string& name_or_file);
/// The same of encoders: "tiny", "roberta-base", "roberta-large".
Json encoder_config(const std::string& name_or_file);

/// Throws as the decoder itself does for what it does not compute, and kCorrupt for values that make no sense.
DecoderShape read_decoder_shape(const Json& config, const std::string& name);
EncoderShape read_encoder_shape(const Json& config, const std::string& name);

struct RandomModelOptions {
  std::string decoder = "tinyllama";
  std::string encoder = "roberta-base";
  std::size_t layers = 0;             // of the decoder, to run fewer than it has; 0: all
  std::size_t max_positions = 32768;  // whatever the shape was trained for: length changes no speed
  Dtype dtype = Dtype::kAuto;
  std::size_t threads = 0;
  std::uint64_t seed = 1;
};

/// A whole model of a real shape with random weights: decoder, chunk encoder, projector, and a policy as wide as the
/// encoder, whose vectors it reads. Nothing is read from disk but the shape. This header is free of torch.
class RandomModel {
 public:
  explicit RandomModel(const RandomModelOptions& options);
  ~RandomModel();

  /// The same weights for any k.
  std::shared_ptr<const ModelBundle> bundle(std::size_t chunk_size) const;

  const DecoderShape& decoder() const { return decoder_; }  // with all its layers
  std::size_t layers_run() const { return layers_run_; }
  const EncoderShape& encoder() const { return encoder_; }
  const std::shared_ptr<const SyntheticTokenizer>& tokenizer() const { return tokenizer_; }
  std::string dtype() const;           // "fp32", "bf16", "int8"
  std::size_t bytes_a_value() const;   // of activations and of the KV cache
  std::size_t bytes_a_weight() const;  // of the decoder's linear layers
  std::size_t threads() const;

 private:
  DecoderShape decoder_;
  std::size_t layers_run_;
  EncoderShape encoder_;
  std::shared_ptr<const SyntheticTokenizer> tokenizer_;
  std::unique_ptr<const ModelBundle::Parts> parts_;
};

}  // namespace refrag::bench

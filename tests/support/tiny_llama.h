#pragma once
#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "base/files.h"
#include "base/json_reader.h"
#include "model/safetensors.h"

namespace refrag::testing {

/// A LlamaForCausalLM small enough to be made anew by each test, with random weights.
struct TinyLlama {
  Json config = {{"architectures", {"LlamaForCausalLM"}},
                 {"model_type", "llama"},
                 {"vocab_size", 50},
                 {"hidden_size", 24},
                 {"intermediate_size", 40},
                 {"num_hidden_layers", 2},
                 {"num_attention_heads", 4},
                 {"num_key_value_heads", 2},
                 {"head_dim", 8},
                 {"max_position_embeddings", 128},
                 {"rms_norm_eps", 1e-6},
                 {"rope_theta", 10000.0},
                 {"tie_word_embeddings", false},
                 {"eos_token_id", 2}};
  std::map<std::string, at::Tensor> tensors;

  TinyLlama() {
    at::manual_seed(11);
    add("model.embed_tokens.weight", {50, 24});
    for (const char* layer : {"model.layers.0.", "model.layers.1."}) {
      const std::string prefix = layer;
      add(prefix + "self_attn.q_proj.weight", {32, 24});
      add(prefix + "self_attn.k_proj.weight", {16, 24});
      add(prefix + "self_attn.v_proj.weight", {16, 24});
      add(prefix + "self_attn.o_proj.weight", {24, 32});
      add(prefix + "mlp.gate_proj.weight", {40, 24});
      add(prefix + "mlp.up_proj.weight", {40, 24});
      add(prefix + "mlp.down_proj.weight", {24, 40});
      add(prefix + "input_layernorm.weight", {24});
      add(prefix + "post_attention_layernorm.weight", {24});
    }
    add("model.norm.weight", {24});
    add("lm_head.weight", {50, 24});
  }

  void add(const std::string& name, at::IntArrayRef shape) { tensors[name] = at::randn(shape) * 0.3; }

  void write(const std::filesystem::path& directory) const {
    write_file_atomic(directory / "config.json", config.dump());
    write_safetensors(directory / "model.safetensors", tensors);
  }
};

}  // namespace refrag::testing

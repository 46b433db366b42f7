#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json_reader.h"
#include "base/token.h"
#include "nn/rotary.h"

namespace refrag {

/// What config.json and generation_config.json say of a LlamaForCausalLM, with Hugging Face's defaults filled in.
struct LlamaConfig {
  std::int64_t vocab_size = 0;
  std::int64_t width = 0;      // d, hidden_size
  std::int64_t ffn_width = 0;  // intermediate_size
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;     // H
  std::int64_t num_kv_heads = 0;  // G
  std::int64_t head_dim = 0;      // h
  std::int64_t max_positions = 0;
  double norm_eps = 1e-6;
  bool tied_embeddings = false;
  bool attention_bias = false;
  bool mlp_bias = false;
  nn::RotaryConfig rotary;
  std::vector<TokenId> eos_ids;  // generation_config's where it has them: generation ends at any of these
};

/// Throws kUnsupported with the name of an architecture or option that this decoder does not compute, and kCorrupt for
/// a value that makes no sense; both name the file and the field.
LlamaConfig read_llama_config(const std::filesystem::path& directory);
LlamaConfig parse_llama_config(const Json& config, const Json& generation_config, const std::string& file);

}  // namespace refrag

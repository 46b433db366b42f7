#pragma once
#include <cstddef>
#include <filesystem>
#include <string>

#include "base/json_reader.h"
#include "base/token.h"

namespace refrag {

/// How the vectors of a text's tokens become one.
enum class Pooling { kCls, kMean };
const char* name_of(Pooling pooling);

/// What config.json says of a BERT, RoBERTa or XLM-RoBERTa encoder.
struct EncoderConfig {
  enum class Activation { kGelu, kGeluTanh, kRelu };

  std::string model_type;    // bert, roberta, xlm-roberta, camembert
  std::string architecture;  // as config.json has it: "RobertaModel", "BertForSequenceClassification", ...
  std::size_t vocab_size = 0;
  std::size_t width = 0;  // d
  std::size_t num_layers = 0;
  std::size_t num_heads = 0;
  std::size_t ffn_width = 0;
  std::size_t position_rows = 0;  // of the table; more than longest_input() where positions start late
  std::size_t num_types = 0;
  double norm_eps = 1e-12;
  Activation activation = Activation::kGelu;
  TokenId pad_id = 0;
  bool positions_after_pad = false;  // RoBERTa, XLM-R: the first token has position pad_id + 1; BERT: 0

  std::size_t longest_input() const;  // tokens, special ones included
  Json describe() const;              // all that changes a vector besides the weights, for identities
};

const char* name_of(EncoderConfig::Activation activation);

/// Throws kUnsupported with the name of an architecture or option that is not known, kCorrupt for a value that makes no
/// sense; both name the file and field.
EncoderConfig read_encoder_config(const std::filesystem::path& file);
EncoderConfig parse_encoder_config(const Json& json, const std::string& file);

}  // namespace refrag

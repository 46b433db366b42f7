#include "model/cross_encoder.h"

#include <ATen/ATen.h>

#include <utility>

#include "base/message.h"
#include "refrag/error.h"

namespace refrag {
namespace {

bool is_bert(const EncoderConfig& config) { return config.model_type == "bert"; }

std::string classifier_name(const EncoderConfig& config) {
  return is_bert(config) ? "classifier" : "classifier.out_proj";
}

// The pair between its special tokens, shortened before the last of them.
EncoderInput pair_input(const Tokenizer& tokenizer, const std::string& query, const std::string& text,
                        const EncoderConfig& config) {
  Tokenizer::Pair pair = tokenizer.encode_pair(query, text);
  if (pair.ids.size() > config.longest_input()) {
    const auto surplus = static_cast<std::ptrdiff_t>(pair.ids.size() - config.longest_input());
    pair.ids.erase(pair.ids.end() - 1 - surplus, pair.ids.end() - 1);
    pair.type_ids.erase(pair.type_ids.end() - 1 - surplus, pair.type_ids.end() - 1);
  }
  if (config.num_types == 1) {
    pair.type_ids.clear();  // RoBERTa knows one type
  }
  return {std::move(pair.ids), std::move(pair.type_ids)};
}

}  // namespace

std::shared_ptr<const CrossEncoder> CrossEncoder::load(const std::filesystem::path& directory,
                                                       const at::TensorOptions& options, nn::WeightLayout layout) {
  const std::filesystem::path file = directory / "config.json";
  const EncoderConfig config = read_encoder_config(file);
  if (!config.architecture.ends_with("ForSequenceClassification")) {
    throw Error(ErrorCode::kUnsupported, message(file.string(), ": architectures has \"", config.architecture,
                                                 "\"; expected a ...ForSequenceClassification with one label"));
  }
  WeightReader encoder_weights = RobertaEncoder::open_weights(directory, options, layout);
  WeightReader head_weights(Checkpoint::open(directory), options);
  const std::size_t labels = head_weights.matrix_size(classifier_name(config) + ".weight").rows;
  if (labels != 1) {
    throw Error(ErrorCode::kUnsupported,
                message(directory.string(), ": the classifier has ", labels, " labels; a reranker has one"));
  }
  return std::make_shared<CrossEncoder>(config, encoder_weights, head_weights, Tokenizer::load(directory));
}

CrossEncoder::CrossEncoder(const EncoderConfig& config, WeightReader& encoder_weights, WeightReader& head_weights,
                           std::shared_ptr<const Tokenizer> tokenizer)
    : encoder_(config, encoder_weights, /*pooler=*/is_bert(config)),
      tokenizer_(std::move(tokenizer)),
      classifier_(head_weights.linear(classifier_name(config), 1, config.width)) {
  if (!is_bert(config)) {
    dense_ = head_weights.linear("classifier.dense", config.width, config.width);
  }
}

// [B, L, d] to [B]
at::Tensor CrossEncoder::logits(const at::Tensor& hidden) const {
  const at::Tensor pooled = dense_ ? at::tanh((*dense_)(hidden.select(1, 0))) : encoder_.pool(hidden);
  return classifier_(pooled).squeeze(1).to(at::kFloat).cpu();
}

std::vector<float> CrossEncoder::score(const std::string& query, const std::vector<std::string>& texts) const {
  std::vector<EncoderInput> pairs;
  pairs.reserve(texts.size());
  for (const std::string& text : texts) {
    pairs.push_back(pair_input(*tokenizer_, query, text, encoder_.config()));
  }
  std::vector<float> scores(texts.size());
  encoder_.for_each_batch(pairs,
                          [&](const std::vector<std::size_t>& rows, const at::Tensor& hidden, const at::Tensor&) {
                            const at::Tensor found = logits(hidden);
                            const auto values = found.accessor<float, 1>();
                            for (std::size_t n = 0; n < rows.size(); ++n) {
                              scores[rows[n]] = values[static_cast<std::int64_t>(n)];
                            }
                          });
  return scores;
}

}  // namespace refrag

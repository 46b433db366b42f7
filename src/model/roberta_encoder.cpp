#include "model/roberta_encoder.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/hash.h"
#include "base/message.h"
#include "model/length_batches.h"
#include "refrag/error.h"

namespace refrag {
namespace {

// GEMM is at its full speed from about 512 rows on; more only costs memory (16 MiB a tensor at d = 1,024 in fp32).
constexpr std::size_t kTokensABatch = 4096;
constexpr std::size_t kTokensABatchOnCuda = 131072;  // a kernel's start costs as much as the work of thousands of rows

struct PaddedBatch {
  at::Tensor ids;       // [B, L]
  at::Tensor mask;      // [B, L]; undefined where no row is padded
  at::Tensor type_ids;  // [B, L]; undefined where all are 0
};

PaddedBatch pad_rows(const std::vector<EncoderInput>& inputs, const std::vector<std::size_t>& rows, TokenId pad_id) {
  std::size_t longest = 0;
  bool padded = false;
  bool typed = false;
  for (const std::size_t row : rows) {
    padded = padded || inputs[row].ids.size() != inputs[rows.front()].ids.size();
    longest = std::max(longest, inputs[row].ids.size());
    typed = typed || !inputs[row].type_ids.empty();
  }
  const std::vector<std::int64_t> shape = {static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(longest)};
  PaddedBatch batch{at::full(shape, pad_id, at::kLong), at::zeros(shape, at::kLong), at::zeros(shape, at::kLong)};
  auto ids = batch.ids.accessor<std::int64_t, 2>();
  auto mask = batch.mask.accessor<std::int64_t, 2>();
  auto types = batch.type_ids.accessor<std::int64_t, 2>();
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const EncoderInput& input = inputs[rows[b]];
    for (std::size_t t = 0; t < input.ids.size(); ++t) {
      ids[b][t] = input.ids[t];
      mask[b][t] = 1;
      types[b][t] = input.type_ids.empty() ? 0 : input.type_ids[t];
    }
  }
  return {batch.ids, padded ? batch.mask : at::Tensor(), typed ? batch.type_ids : at::Tensor()};
}

BertLayerShape layer_shape(const EncoderConfig& config) {
  return {config.width, config.num_heads, config.ffn_width, config.norm_eps, config.activation};
}

}  // namespace

RobertaEncoder::RobertaEncoder(const EncoderConfig& config, WeightReader& weights, bool pooler)
    : config_(config),
      words_(weights.table("embeddings.word_embeddings.weight", config.vocab_size, config.width)),
      positions_(weights.table("embeddings.position_embeddings.weight", config.position_rows, config.width)),
      types_(weights.table("embeddings.token_type_embeddings.weight", config.num_types, config.width)),
      embedding_norm_(weights.norm("embeddings.LayerNorm", config.width, config.norm_eps)) {
  for (std::size_t n = 0; n < config.num_layers; ++n) {
    layers_.emplace_back(weights, message("encoder.layer.", n, "."), layer_shape(config));
  }
  identity_ = sha256_hex(weights.identity() + config.describe().dump());  // before the pooler: it changes no vector
  if (pooler) {
    pooler_ = weights.linear("pooler.dense", config.width, config.width);
  }
}

WeightReader RobertaEncoder::open_weights(const std::filesystem::path& directory, const at::TensorOptions& options,
                                          nn::WeightLayout layout) {
  return {Checkpoint::open(directory), options, {"", "roberta.", "bert."}, "embeddings.word_embeddings.weight", layout};
}

std::shared_ptr<const RobertaEncoder> RobertaEncoder::load(const std::filesystem::path& directory,
                                                           const at::TensorOptions& options, nn::WeightLayout layout) {
  const EncoderConfig config = read_encoder_config(directory / "config.json");
  WeightReader weights = open_weights(directory, options, layout);
  return std::make_shared<RobertaEncoder>(config, weights);
}

Parameters RobertaEncoder::parameters() const {
  Parameters parameters = {{"embeddings.word_embeddings.weight", words_},
                           {"embeddings.position_embeddings.weight", positions_},
                           {"embeddings.token_type_embeddings.weight", types_},
                           {"embeddings.LayerNorm.weight", embedding_norm_.weight},
                           {"embeddings.LayerNorm.bias", embedding_norm_.bias}};
  for (std::size_t n = 0; n < layers_.size(); ++n) {
    layers_[n].add_parameters(message("encoder.layer.", n, "."), parameters);
  }
  return parameters;
}

at::Tensor RobertaEncoder::position_ids(const at::Tensor& ids) const {
  if (!config_.positions_after_pad) {
    return at::arange(ids.size(1), ids.options()).expand_as(ids);  // [B, L]
  }
  const at::Tensor real = ids.ne(config_.pad_id).to(at::kLong);  // as trained: padding keeps the position pad_id
  return at::cumsum(real, 1) * real + config_.pad_id;
}

at::Tensor RobertaEncoder::forward(const at::Tensor& ids, const at::Tensor& mask, const at::Tensor& type_ids) const {
  at::Tensor x = at::embedding(words_, ids) + at::embedding(positions_, position_ids(ids));  // [B, L, d]
  x = embedding_norm_(x + (type_ids.defined() ? at::embedding(types_, type_ids) : types_[0]));
  const at::Tensor keys = mask.defined() ? mask.to(at::kBool) : at::Tensor();
  for (const BertLayer& layer : layers_) {
    x = layer.forward(x, keys);
  }
  return x;
}

at::Tensor RobertaEncoder::pool(const at::Tensor& hidden) const { return at::tanh((*pooler_)(hidden.select(1, 0))); }

void RobertaEncoder::check(const EncoderInput& input, std::size_t row) const {
  if (input.ids.empty() || input.ids.size() > config_.longest_input()) {
    throw Error(ErrorCode::kInvalidArgument, message("input ", row, " of the encoder has ", input.ids.size(),
                                                     " tokens; expected 1 to ", config_.longest_input()));
  }
  for (const TokenId id : input.ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= config_.vocab_size) {
      throw Error(ErrorCode::kInvalidArgument, message("input ", row, " of the encoder holds token id ", id,
                                                       "; expected 0 to ", config_.vocab_size - 1));
    }
  }
  for (const TokenId type : input.type_ids) {
    if (type < 0 || static_cast<std::size_t>(type) >= config_.num_types) {
      throw Error(ErrorCode::kInvalidArgument, message("input ", row, " of the encoder holds token type ", type,
                                                       "; expected 0 to ", config_.num_types - 1));
    }
  }
}

void RobertaEncoder::for_each_batch(const std::vector<EncoderInput>& rows, const TakeBatch& take) const {
  std::vector<std::size_t> lengths;
  lengths.reserve(rows.size());
  for (const EncoderInput& row : rows) {
    check(row, lengths.size());
    lengths.push_back(row.ids.size());
  }
  const std::size_t most = words_.is_cuda() ? kTokensABatchOnCuda : kTokensABatch;
  for (const std::vector<std::size_t>& batch : batches_by_length(lengths, most)) {
    const PaddedBatch padded = pad_rows(rows, batch, config_.pad_id);
    const auto here = [&](const at::Tensor& tensor) { return tensor.defined() ? tensor.to(words_.device()) : tensor; };
    const at::Tensor mask = here(padded.mask);
    take(batch, forward(here(padded.ids), mask, here(padded.type_ids)), mask);
  }
}

at::Tensor RobertaEncoder::embed(const std::vector<EncoderInput>& rows, Pooling pooling, bool normalize) const {
  const at::Tensor vectors = at::empty({static_cast<std::int64_t>(rows.size()), words_.size(1)},
                                       words_.options().requires_grad(false).dtype(at::kFloat));
  for_each_batch(rows, [&](const std::vector<std::size_t>& batch, const at::Tensor& hidden, const at::Tensor& mask) {
    const at::Tensor pooled = pool_tokens(hidden, mask, pooling);
    const std::vector<std::int64_t> places(batch.begin(), batch.end());
    vectors.index_copy_(0, at::tensor(places, at::kLong).to(words_.device()),
                        normalize ? normalize_rows(pooled) : pooled);
  });
  return vectors;
}

at::Tensor pool_tokens(const at::Tensor& hidden, const at::Tensor& mask, Pooling pooling) {
  if (pooling == Pooling::kCls) {
    return hidden.select(1, 0).to(at::kFloat);
  }
  if (!mask.defined()) {
    return hidden.to(at::kFloat).mean(1);
  }
  const at::Tensor weights = mask.to(at::kFloat).unsqueeze(2);  // [B, L, 1]
  return (hidden.to(at::kFloat) * weights).sum(1) / weights.sum(1).clamp_min(1);
}

at::Tensor normalize_rows(const at::Tensor& rows) {
  return rows / rows.norm(2, {1}, /*keepdim=*/true).clamp_min(1e-12);
}

}  // namespace refrag

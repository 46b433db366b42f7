#include "model/text_embedder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "model/sentence_transformer.h"
#include "model/text_input.h"

namespace refrag {

std::shared_ptr<const TextEmbedder> TextEmbedder::load(const std::filesystem::path& directory,
                                                       const TextEmbedderOptions& options,
                                                       const at::TensorOptions& tensor_options,
                                                       nn::WeightLayout layout) {
  const SentenceTransformer published = read_sentence_transformer(directory);
  TextEmbedderOptions chosen = options;
  if (chosen.max_tokens == 0) {
    chosen.max_tokens = published.max_tokens;
  }
  return std::make_shared<TextEmbedder>(RobertaEncoder::load(published.encoder, tensor_options, layout),
                                        Tokenizer::load(published.encoder), published.pooling, std::move(chosen));
}

TextEmbedder::TextEmbedder(std::shared_ptr<const ChunkEncoder> chunk_encoder,
                           std::shared_ptr<const Tokenizer> decoder_tokenizer, std::size_t chunk_size,
                           TextEmbedderOptions options)
    : chunk_encoder_(std::move(chunk_encoder)),
      tokenizer_(std::move(decoder_tokenizer)),
      chunk_size_(chunk_size),
      options_(std::move(options)) {}

TextEmbedder::TextEmbedder(std::shared_ptr<const RobertaEncoder> encoder, std::shared_ptr<const Tokenizer> tokenizer,
                           Pooling pooling, TextEmbedderOptions options)
    : encoder_(std::move(encoder)), tokenizer_(std::move(tokenizer)), pooling_(pooling), options_(std::move(options)) {
  const std::size_t longest = encoder_->config().longest_input();
  options_.max_tokens = options_.max_tokens == 0 ? longest : std::min(options_.max_tokens, longest);
}

std::size_t TextEmbedder::width() const { return encoder_ != nullptr ? encoder_->width() : chunk_encoder_->width(); }

bool TextEmbedder::passages_are_mean_of_chunks() const {
  return chunk_encoder_ != nullptr && options_.passage_prefix.empty() && options_.max_tokens == 0;
}

Json TextEmbedder::describe() const {
  Json description = {{"query_prefix", options_.query_prefix},
                      {"passage_prefix", options_.passage_prefix},
                      {"max_tokens", options_.max_tokens}};
  if (encoder_ != nullptr) {
    description["encoder"] = encoder_->identity();
    description["tokenizer"] = tokenizer_->identity();
    description["pooling"] = name_of(pooling_);
  } else {
    description["pooling"] = "mean of chunks";
  }
  return description;
}

at::Tensor TextEmbedder::embed_queries(const std::vector<std::string>& texts) const {
  return embed(options_.query_prefix, texts);
}

at::Tensor TextEmbedder::embed_passages(const std::vector<std::string>& texts) const {
  return embed(options_.passage_prefix, texts);
}

at::Tensor TextEmbedder::embed(const std::string& prefix, const std::vector<std::string>& texts) const {
  return normalize_rows(encoder_ != nullptr ? embed_whole(prefix, texts) : embed_by_chunks(prefix, texts));
}

at::Tensor TextEmbedder::embed_whole(const std::string& prefix, const std::vector<std::string>& texts) const {
  std::vector<EncoderInput> inputs;
  inputs.reserve(texts.size());
  for (const std::string& text : texts) {
    inputs.push_back({encode_for_encoder(*tokenizer_, prefix + text, options_.max_tokens).ids, {}});
  }
  return encoder_->embed(inputs, pooling_, /*normalize=*/false);
}

at::Tensor TextEmbedder::embed_by_chunks(const std::string& prefix, const std::vector<std::string>& texts) const {
  std::vector<std::vector<TokenId>> chunks;
  std::vector<std::size_t> ends;  // of each text's chunks
  for (const std::string& text : texts) {
    std::vector<TokenId> ids = tokenizer_->encode(prefix + text);
    if (options_.max_tokens > 0 && ids.size() > options_.max_tokens) {
      ids.resize(options_.max_tokens);
    }
    for (auto begin = ids.begin(); begin != ids.end();) {
      const auto length = std::min<std::ptrdiff_t>(ids.end() - begin, static_cast<std::ptrdiff_t>(chunk_size_));
      chunks.emplace_back(begin, begin + length);
      begin += length;
    }
    ends.push_back(chunks.size());
  }
  const at::Tensor vectors = chunk_encoder_->encode(chunks);  // [chunks, d]
  std::vector<at::Tensor> rows;
  std::size_t begin = 0;
  for (const std::size_t end : ends) {
    const auto count = static_cast<std::int64_t>(end - begin);
    rows.push_back(vectors.narrow(0, static_cast<std::int64_t>(begin), count).sum(0) /
                   static_cast<double>(std::max<std::int64_t>(count, 1)));  // a text without a token: zeros
    begin = end;
  }
  return rows.empty() ? vectors : at::stack(rows);  // [texts, d]
}

}  // namespace refrag

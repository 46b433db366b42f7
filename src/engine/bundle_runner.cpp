#include "engine/bundle_runner.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <c10/util/Exception.h>

#include <utility>

#include "base/message.h"
#include "model/chunk_encoder.h"
#include "model/cross_encoder.h"
#include "model/parts.h"
#include "model/text_embedder.h"
#include "nn/cpu/threads.h"

namespace refrag {
namespace {

/// Runs `compute` as serving does: without gradients, with the threads that were set for the process, and with
/// libtorch's exceptions (no memory, mostly) turned into ours.
template <typename Compute>
auto serve(const Compute& compute) {
  const c10::InferenceMode no_gradients;
  at::init_num_threads();  // each thread keeps its own OpenMP setting
  try {
    return compute();
  } catch (const c10::Error& error) {
    throw Error(ErrorCode::kInternal, message("libtorch: ", error.what_without_backtrace()));
  }
}

ModelInfo describe(const ModelBundle& bundle) {
  const ModelBundle::Parts& parts = bundle.parts();
  const LlamaConfig& decoder = parts.decoder->config();
  ModelInfo info;
  info.name = parts.name;
  info.schema = bundle.schema();
  info.chunk_size = parts.chunk_size;
  info.chunk_width = info.schema.chunk_width;
  info.decoder_width = static_cast<std::size_t>(decoder.width);
  info.passage_width = info.schema.passage_width;
  info.vocab_size = static_cast<std::size_t>(decoder.vocab_size);
  info.context_length = static_cast<std::size_t>(decoder.max_positions);
  info.eos_ids = decoder.eos_ids;
  info.kv_bytes_per_position = parts.decoder->kv_bytes_per_position();
  info.has_policy = parts.policy != nullptr;
  info.has_reranker = parts.reranker != nullptr;
  info.passages_are_mean_of_chunks = parts.retriever != nullptr && parts.retriever->passages_are_mean_of_chunks();
  info.default_retrieve = parts.default_retrieve;
  info.passage_tokens = parts.passage_tokens;
  info.prompt = parts.prompt;
  info.tokenizer = parts.tokenizer;
  info.chat_template = parts.chat_template;
  return info;
}

template <typename Part>
const Part& need(const std::shared_ptr<const Part>& part, const std::string& model, const char* what) {
  if (part == nullptr) {
    throw Error(ErrorCode::kUnsupported, message("model ", model, " has no ", what));
  }
  return *part;
}

/// A view of the matrix, which must outlive it.
at::Tensor as_tensor(const Matrix& matrix) {
  return at::from_blob(const_cast<float*>(matrix.values.data()),  // read only; from_blob has no const form
                       {static_cast<std::int64_t>(matrix.rows), static_cast<std::int64_t>(matrix.width)}, at::kFloat);
}

std::vector<float> as_floats(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.to(at::kCPU, at::kFloat).contiguous();
  return {plain.const_data_ptr<float>(), plain.const_data_ptr<float>() + plain.numel()};
}

Matrix as_matrix(const at::Tensor& rows) {
  return {static_cast<std::size_t>(rows.size(0)), static_cast<std::size_t>(rows.size(1)), as_floats(rows)};
}

/// The rows of a step, [N, d]: embeddings of the tokens and chunk vectors, each in its entry's place.
class EntryRows {
 public:
  explicit EntryRows(std::size_t width) : width_(width) {}

  void add(const StepInput& input) {
    for (const Entry& entry : input.entries) {
      if (entry.token != Entry::kVector) {
        token_rows_.push_back(count_);
        tokens_.push_back(entry.token);
      } else {
        vector_rows_.push_back(count_);
        const std::span<const float> vector = vector_of(input, entry);
        vectors_.insert(vectors_.end(), vector.begin(), vector.end());
      }
      ++count_;
    }
  }

  std::int64_t count() const { return count_; }

  at::Tensor embed(const LlamaDecoder& decoder) {
    if (vector_rows_.empty()) {
      return decoder.embed(tokens_);
    }
    at::Tensor x = at::empty({count_, static_cast<std::int64_t>(width_)}, decoder.options());
    const auto place = [&x](const std::vector<std::int64_t>& rows, const at::Tensor& values) {
      x.index_copy_(0, at::tensor(rows, at::kLong).to(x.device()), values.to(x.options()));
    };
    if (!tokens_.empty()) {
      place(token_rows_, decoder.embed(tokens_));
    }
    place(
        vector_rows_,
        at::from_blob(vectors_.data(),
                      {static_cast<std::int64_t>(vector_rows_.size()), static_cast<std::int64_t>(width_)}, at::kFloat));
    return x;
  }

 private:
  std::span<const float> vector_of(const StepInput& input, const Entry& entry) const {
    const bool exists = input.vectors != nullptr && input.vectors->width == width_ && entry.row >= 0 &&
                        static_cast<std::size_t>(entry.row) < input.vectors->rows;
    if (!exists) {
      throw Error(ErrorCode::kInternal, message("a step asks for chunk vector ", entry.row, " of ",
                                                input.vectors == nullptr ? 0 : input.vectors->rows));
    }
    return input.vectors->row(static_cast<std::size_t>(entry.row));
  }

  std::size_t width_;
  std::int64_t count_ = 0;
  std::vector<TokenId> tokens_;
  std::vector<std::int64_t> token_rows_;
  std::vector<float> vectors_;  // [vector_rows_, width_]
  std::vector<std::int64_t> vector_rows_;
};

/// The rows whose logits are wanted, of all inputs.
std::vector<std::int64_t> wanted_rows(std::span<const StepInput> inputs) {
  std::vector<std::int64_t> rows;
  std::int64_t end = 0;
  for (const StepInput& input : inputs) {
    end += static_cast<std::int64_t>(input.entries.size());
    if (input.logits_of_last > input.entries.size()) {
      throw Error(ErrorCode::kInternal, message("a step of ", input.entries.size(), " entries asks for the logits of ",
                                                input.logits_of_last));
    }
    for (auto row = end - static_cast<std::int64_t>(input.logits_of_last); row < end; ++row) {
      rows.push_back(row);
    }
  }
  return rows;
}

/// Logits [wanted rows, vocab] to one matrix an input.
std::vector<Matrix> split(const at::Tensor& logits, std::span<const StepInput> inputs) {
  std::vector<Matrix> results;
  std::int64_t first = 0;
  for (const StepInput& input : inputs) {
    const auto count = static_cast<std::int64_t>(input.logits_of_last);
    results.push_back(as_matrix(logits.narrow(0, first, count)));
    first += count;
  }
  return results;
}

}  // namespace

BundleRunner::BundleRunner(std::shared_ptr<const ModelBundle> bundle)
    : bundle_(std::move(bundle)), info_(describe(*bundle_)) {}

BundleRunner::~BundleRunner() = default;

Matrix BundleRunner::encode_chunks(const std::vector<std::vector<TokenId>>& chunks) const {
  const ChunkEncoder& encoder = need(bundle_->parts().chunk_encoder, info_.name, "chunk encoder");
  return serve([&] { return as_matrix(encoder.encode(chunks)); });
}

Matrix BundleRunner::project(const Matrix& chunk_vectors) const {
  const Projector& projector = need(bundle_->parts().projector, info_.name, "projector");
  return serve([&] { return as_matrix(projector.forward(as_tensor(chunk_vectors))); });
}

std::vector<float> BundleRunner::score_chunks(const Matrix& question, const Matrix& context,
                                              const Matrix* projected_context) const {
  const ExpansionPolicy& policy = need(bundle_->parts().policy, info_.name, "expansion policy");
  if (!policy.reads_projected()) {
    return serve([&] { return as_floats(policy.forward(as_tensor(question), as_tensor(context))); });
  }
  const Projector& projector = need(bundle_->parts().projector, info_.name, "projector");
  return serve([&] {
    const at::Tensor projected =
        projected_context == nullptr ? projector.forward(as_tensor(context)) : as_tensor(*projected_context);
    return as_floats(policy.forward(projector.forward(as_tensor(question)), projected));
  });
}

Matrix BundleRunner::embed_queries(const std::vector<std::string>& texts) const {
  const TextEmbedder& embedder = need(bundle_->parts().retriever, info_.name, "encoder for dense retrieval");
  return serve([&] { return as_matrix(embedder.embed_queries(texts)); });
}

Matrix BundleRunner::embed_passages(const std::vector<std::string>& texts) const {
  const TextEmbedder& embedder = need(bundle_->parts().retriever, info_.name, "encoder for dense retrieval");
  return serve([&] { return as_matrix(embedder.embed_passages(texts)); });
}

std::vector<float> BundleRunner::rerank(const std::string& query, const std::vector<std::string>& texts) const {
  const CrossEncoder& reranker = need(bundle_->parts().reranker, info_.name, "reranker");
  return serve([&] { return reranker.score(query, texts); });
}

SequenceId BundleRunner::open_sequence(std::size_t expected_positions) {
  auto cache = serve([&] {
    return std::make_unique<KvCache>(
        bundle_->parts().decoder->make_cache(static_cast<std::int64_t>(expected_positions)));
  });
  caches_.emplace(++last_sequence_, std::move(cache));
  return last_sequence_;
}

void BundleRunner::close_sequence(SequenceId sequence) { caches_.erase(sequence); }

KvCache& BundleRunner::cache_for(const StepInput& input) const {
  const auto found = caches_.find(input.sequence);
  if (found == caches_.end()) {
    throw Error(ErrorCode::kInternal, message("a step names sequence ", input.sequence, ", which is not open"));
  }
  KvCache& cache = *found->second;
  if (input.start > static_cast<std::size_t>(cache.length())) {
    throw Error(ErrorCode::kInternal,
                message("a step starts at position ", input.start, " of a sequence of ", cache.length()));
  }
  return cache;
}

std::vector<Matrix> BundleRunner::step(std::span<const StepInput> inputs) {
  const LlamaDecoder& decoder = *bundle_->parts().decoder;
  return serve([&] {
    EntryRows rows(info_.decoder_width);
    std::vector<SequenceRows> sequences;
    for (const StepInput& input : inputs) {
      KvCache& cache = cache_for(input);
      cache.truncate(static_cast<std::int64_t>(input.start));
      rows.add(input);
      if (!input.entries.empty()) {
        sequences.push_back({static_cast<std::int64_t>(input.entries.size()), &cache});
      }
    }
    const std::vector<std::int64_t> wanted = wanted_rows(inputs);
    if (rows.count() == 0) {
      return std::vector<Matrix>(inputs.size());
    }
    const at::Tensor hidden = decoder.forward(rows.embed(decoder), sequences);  // [N, d]
    if (wanted.empty()) {
      return std::vector<Matrix>(inputs.size());
    }
    const at::Tensor chosen = hidden.index_select(0, at::tensor(wanted, at::kLong).to(hidden.device()));
    return split(decoder.logits(chosen), inputs);
  });
}

void BundleRunner::rest() const { nn::release_threads(); }

}  // namespace refrag

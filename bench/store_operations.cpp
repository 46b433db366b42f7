// What a request pays beside the model.
#include <benchmark/benchmark.h>

#include <memory>
#include <random>

#include "base/files.h"
#include "bench/synthetic_library.h"
#include "engine/sampler.h"
#include "store/snapshot.h"

namespace refrag {
namespace {

constexpr std::size_t kVocabSize = 32000;
constexpr std::size_t kTopics = 50;
constexpr std::size_t kPassagesATopic = 64;

void sampling(benchmark::State& state, const SamplingOptions& options) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, 2);
  std::vector<float> logits(kVocabSize);
  for (float& logit : logits) logit = normal(random);
  std::size_t index = 0;
  for (auto _ : state) benchmark::DoNotOptimize(pick_token(logits, {}, options, index++));
}

BENCHMARK_CAPTURE(sampling, greedy, SamplingOptions{})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(sampling, top_p, SamplingOptions{.temperature = 0.8, .top_p = 0.9})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(sampling, top_k, SamplingOptions{.temperature = 0.8, .top_k = 40})->Unit(benchmark::kMicrosecond);

/// 3,200 passages of 256 tokens, 16 chunks each with vectors of RoBERTa-base's width.
struct Base {
  Base() : library(std::make_shared<bench::SyntheticTokenizer>(kVocabSize), kTopics, kPassagesATopic, 1) {
    KnowledgeBaseSchema schema;
    schema.chunk_size = 16;
    schema.chunk_width = 768;
    base = KnowledgeBase::create(directory.path() / "kb", schema);
    library.store(*base);
  }
  TemporaryDirectory directory;
  bench::SyntheticLibrary library;
  std::shared_ptr<KnowledgeBase> base;
};

const Base& shared_base() {
  static const Base base;
  return base;
}

void bm25(benchmark::State& state) {
  const Snapshot snapshot = shared_base().base->snapshot();
  std::size_t topic = 0;
  for (auto _ : state) {
    const std::string question = shared_base().library.question(topic++ % kTopics);
    benchmark::DoNotOptimize(snapshot.search_lexical(question, static_cast<std::size_t>(state.range(0)), {}));
  }
}

/// The look-up of a retrieved passage's chunk vectors.
void chunk_vectors(benchmark::State& state) {
  const Snapshot snapshot = shared_base().base->snapshot();
  const PassageKey key = snapshot.search_lexical(shared_base().library.question(0), 1, {}).at(0).key;
  for (auto _ : state) benchmark::DoNotOptimize(snapshot.chunk_vectors(key));
  state.SetItemsProcessed(state.iterations() * 16);
}

BENCHMARK(bm25)->Arg(8)->Arg(64)->Unit(benchmark::kMicrosecond);
BENCHMARK(chunk_vectors)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace refrag

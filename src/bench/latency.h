#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/synthetic_tokenizer.h"
#include "engine/model_runner.h"
#include "refrag/query.h"

namespace refrag::bench {

/// What `refrag bench latency` runs.
struct LatencyPlan {
  std::vector<std::size_t> contexts = {512, 1024, 2048, 4096, 8192, 16384};  // tokens, whole passages of 256
  std::vector<std::size_t> chunk_sizes = {8, 16, 32};                        // k
  std::vector<double> expand = {0, 0.1};                                     // shares of the chunks
  std::vector<std::size_t> batches = {1};                                    // requests at a time, for throughput
  std::size_t tokens = 64;                                                   // of each answer
  std::size_t repeat = 3;
  std::size_t max_step_positions = 2048;  // as EngineConfig has it
  std::uint64_t kv_cache_bytes = 0;       // as EngineConfig has it
  std::uint64_t seed = 1;
};

/// Throws kInvalidArgument naming the option.
void check(const LatencyPlan& plan);

/// One way to answer a question over `context` tokens.
struct LatencySetting {
  std::size_t context = 0;
  Mode mode = Mode::kFull;
  std::size_t chunk_size = 0;  // k; mode full reads the same passages cut like this
  double expand = 0;
  bool cached = true;  // chunk vectors come from the knowledge base; false: passages come with the question
  bool operator==(const LatencySetting&) const = default;
};
std::string label_of(const LatencySetting& setting);  // "k=16, cached, 10 % expanded"

/// Full context first, then each k, share and source of the vectors.
std::vector<LatencySetting> settings_of(const LatencyPlan& plan, std::size_t context);

struct BatchRuns {
  std::size_t batch = 0;
  std::size_t tokens = 0;               // of all answers of a run
  std::vector<double> elapsed_ms = {};  // from the first question to the last answer
};

struct LatencyRow {
  LatencySetting setting;
  Usage usage;                  // the same in all runs
  std::vector<Timings> cold;    // one: engine and knowledge base just opened, files not in memory, allocator emptied
  std::vector<Timings> warm;    // the same question over and over
  std::vector<Timings> steady;  // each question about passages that were never asked for
  std::vector<BatchRuns> batches = {};            // the first is batch 1: the runs of `steady`
  std::optional<std::uint64_t> peak_memory = {};  // bytes, of the cold run; the whole process with all weights
  std::string error = {};                         // why it could not run; then all above is empty
};

/// A model whose chunks have `chunk_size` tokens; called once a setting.
using MakeRunner = std::function<std::shared_ptr<ModelRunner>(std::size_t chunk_size)>;
/// So many of so many runs are done; `next` is what runs now.
using OnRun = std::function<void(std::size_t done, std::size_t total, const std::string& next)>;

/// Runs every setting of a context side by side, one after another in each round, through Engine: what a request pays
/// from its arrival on, retrieval and look-up (or cutting and encoding passages) included.
std::vector<LatencyRow> measure_latency(const LatencyPlan& plan, std::shared_ptr<const SyntheticTokenizer> tokenizer,
                                        const MakeRunner& make_runner, const OnRun& on_run);

}  // namespace refrag::bench

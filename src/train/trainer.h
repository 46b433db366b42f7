#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/json_reader.h"
#include "train/config.h"
#include "train/process_group.h"

namespace refrag::train {

struct TrainProgress {
  std::string doing;  // "tokenize" with records done, "train" with steps done
  std::uint64_t done = 0;
  std::uint64_t total = 0;  // 0: not known
  std::string note;         // loss, tokens a second
};

struct TrainOptions {
  bool resume = false;  // go on from the checkpoint in config.out, where there is one
  std::function<void(const TrainProgress&)> on_progress;
  std::function<bool()> stops = [] { return false; };  // asked after each step: true ends the run with a checkpoint
  ProcessGroup group;  // the processes that share the work; true from `stops` of any of them ends the run of all
};

struct TrainReport {
  std::uint64_t steps = 0;  // done in all
  std::uint64_t tokens = 0;
  double loss = 0;  // of the last step
  double tokens_per_second = 0;
  std::uint64_t peak_memory_bytes = 0;
  bool interrupted = false;
  std::filesystem::path bundle;  // empty where interrupted
};

/// Runs one stage to its end, or until it is told to stop, together with the other processes of the group: all call
/// this with the same config and see the same files; the first one writes. In config.out: `start/` (what it
/// began with), `checkpoint.safetensors`, `log.jsonl`, and at the end `bundle/`. Throws kInvalidArgument where there is
/// a checkpoint and `resume` was not asked for; kInternal where the loss is no number any more or diverges (the last
/// checkpoint stays).
TrainReport train(const TrainConfig& config, const TrainOptions& options);

}  // namespace refrag::train

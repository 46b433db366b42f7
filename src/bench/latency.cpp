#include "bench/latency.h"

#include <algorithm>
#include <future>
#include <utility>

#include "base/clock.h"
#include "base/files.h"
#include "base/message.h"
#include "bench/process_memory.h"
#include "bench/synthetic_library.h"
#include "refrag/engine.h"
#include "refrag/error.h"

namespace refrag::bench {
namespace {

constexpr std::size_t kMostPassages = 256;  // that a query retrieves
constexpr std::size_t kWarmTopic = 0;

[[noreturn]] void refuse(const std::string& option, const std::string& found, const std::string& expected) {
  throw Error(ErrorCode::kInvalidArgument, message(option, " is ", found, "; expected ", expected), option);
}

std::size_t largest(const std::vector<std::size_t>& values) { return *std::max_element(values.begin(), values.end()); }

/// Topics that a setting asks about: one again and again, one for each round, one for each request of a batch.
std::size_t topics_needed(const LatencyPlan& plan) {
  return 1 + plan.repeat + (largest(plan.batches) > 1 ? largest(plan.batches) : 0);
}

/// One setting with the engine and the library that it asks.
class LatencyCell {
 public:
  LatencyCell(const LatencyPlan& plan, const LatencySetting& setting,
              std::shared_ptr<const SyntheticTokenizer> tokenizer, std::shared_ptr<ModelRunner> runner)
      : plan_(plan),
        row_{setting, {}, {}, {}, {}},
        library_(std::move(tokenizer), topics_needed(plan), setting.context / kPassageTokens, plan.seed),
        runner_(std::move(runner)) {
    if (setting.cached) {
      library_.store(*KnowledgeBase::create(base_path(), runner_->info().schema));
    }
  }

  LatencyRow& row() { return row_; }

  /// Opens everything anew and asks once.
  void run_cold() {
    if (row_.setting.cached) forget_cached_files(base_path());
    const bool counts_anew = reset_peak_memory();
    open_engine();
    const Answer answer = ask(kWarmTopic);
    row_.usage = answer.usage;
    row_.cold.push_back(answer.timings);
    if (counts_anew) row_.peak_memory = peak_memory_since_reset();
  }

  void run_round(std::size_t round) {
    row_.warm.push_back(ask(kWarmTopic).timings);
    row_.steady.push_back(ask(1 + round).timings);
  }

  void run_batch(std::size_t batch) {
    const Stopwatch watch;
    std::vector<std::future<Answer>> answers;
    for (std::size_t n = 0; n < batch; ++n) {
      answers.push_back(std::async(std::launch::async, [this, n] { return ask(1 + plan_.repeat + n); }));
    }
    BatchRuns& runs = batch_runs(batch);
    runs.tokens = 0;
    for (std::future<Answer>& answer : answers) runs.tokens += answer.get().usage.completion_tokens;
    runs.elapsed_ms.push_back(watch.elapsed_ms());
  }

  /// The runs of a batch of one are those that were made anyway.
  void take_steady_as_batch() {
    BatchRuns runs{1, row_.usage.completion_tokens};
    for (const Timings& timings : row_.steady) runs.elapsed_ms.push_back(timings.total);
    row_.batches.insert(row_.batches.begin(), std::move(runs));
  }

 private:
  std::filesystem::path base_path() const { return directory_.path() / "kb"; }

  void open_engine() {
    EngineConfig config;
    config.max_running = largest(plan_.batches);
    config.kv_cache_bytes = plan_.kv_cache_bytes;
    config.max_step_positions = plan_.max_step_positions;
    engine_ =
        std::make_unique<Engine>(runner_, row_.setting.cached ? KnowledgeBase::open(base_path()) : nullptr, config);
  }

  Query query(std::size_t topic) const {
    const LatencySetting& setting = row_.setting;
    Query query;
    query.question = library_.question(topic);
    query.mode = setting.mode;
    query.retrieve.top_k = library_.passages_a_topic();
    query.retrieve.mode = RetrieveMode::kLexical;
    if (!setting.cached) query.passages = library_.inline_passages(topic);
    query.expand.fraction = setting.expand;
    query.max_tokens = plan_.tokens;
    return query;
  }

  Answer ask(std::size_t topic) const {
    Query asked = query(topic);
    asked.arrived = Clock::now();  // making the text of passages is the caller's work, not ours
    Answer answer = engine_->ask(asked);
    if (answer.retrieval.hits.size() != library_.passages_a_topic()) {
      throw Error(ErrorCode::kInternal, message("found ", answer.retrieval.hits.size(), " passages of a topic of ",
                                                library_.passages_a_topic()));
    }
    if (answer.usage.completion_tokens != plan_.tokens) {
      throw Error(ErrorCode::kInternal,
                  message("the answer has ", answer.usage.completion_tokens, " tokens; expected ", plan_.tokens));
    }
    return answer;
  }

  BatchRuns& batch_runs(std::size_t batch) {
    for (BatchRuns& runs : row_.batches) {
      if (runs.batch == batch) return runs;
    }
    return row_.batches.emplace_back(BatchRuns{batch, 0});
  }

  const LatencyPlan& plan_;
  LatencyRow row_;
  SyntheticLibrary library_;
  std::shared_ptr<ModelRunner> runner_;
  TemporaryDirectory directory_;
  std::unique_ptr<Engine> engine_;  // last: it goes first
};

/// Counts runs and tells of them.
class RunCounter {
 public:
  RunCounter(const LatencyPlan& plan, const OnRun& on_run) : on_run_(on_run) {
    const auto own = std::count_if(plan.batches.begin(), plan.batches.end(), [](std::size_t n) { return n > 1; });
    runs_a_setting_ = 1 + plan.repeat * (2 + static_cast<std::size_t>(own));
    total_ = runs_a_setting_ * plan.contexts.size() * settings_of(plan, plan.contexts.front()).size();
  }
  void begin(const LatencySetting& setting) {
    if (on_run_) on_run_(std::min(done_, total_), total_, message(setting.context, " tokens, ", label_of(setting)));
  }
  void add(std::size_t runs) { done_ += runs; }
  std::size_t runs_a_setting() const { return runs_a_setting_; }

 private:
  const OnRun& on_run_;
  std::size_t runs_a_setting_ = 0;
  std::size_t total_ = 0;
  std::size_t done_ = 0;
};

/// The settings of one context, as far as they can run: what fails (for lack of memory, mostly) keeps its reason.
class LatencyRound {
 public:
  LatencyRound(const LatencyPlan& plan, RunCounter& counter) : plan_(plan), counter_(counter) {}

  void add(std::unique_ptr<LatencyCell> cell) { cells_.push_back(std::move(cell)); }

  /// Each begins one setting further on, so that none has always the same one before it.
  template <typename Run>
  void for_each(std::size_t round, std::size_t runs, const Run& run) {
    for (std::size_t n = 0; n < cells_.size(); ++n) {
      LatencyCell& cell = *cells_[(n + round) % cells_.size()];
      counter_.begin(cell.row().setting);
      counter_.add(runs);
      if (!cell.row().error.empty()) continue;
      try {
        run(cell);
      } catch (const Error& error) {
        cell.row() = {cell.row().setting, {}, {}, {}, {}};
        cell.row().error = error.what();
      }
    }
  }

  std::vector<LatencyRow> measure() {
    for_each(0, 1, [](LatencyCell& cell) { cell.run_cold(); });
    for (std::size_t round = 0; round < plan_.repeat; ++round) {
      for_each(round, 2, [round](LatencyCell& cell) { cell.run_round(round); });
    }
    for (const std::size_t batch : plan_.batches) {
      for (std::size_t round = 0; batch > 1 && round < plan_.repeat; ++round) {
        for_each(round, 1, [batch](LatencyCell& cell) { cell.run_batch(batch); });
      }
    }
    std::vector<LatencyRow> rows;
    for (const std::unique_ptr<LatencyCell>& cell : cells_) {
      if (cell->row().error.empty()) cell->take_steady_as_batch();
      rows.push_back(std::move(cell->row()));
    }
    return rows;
  }

 private:
  const LatencyPlan& plan_;
  RunCounter& counter_;
  std::vector<std::unique_ptr<LatencyCell>> cells_;
};

}  // namespace

void check(const LatencyPlan& plan) {
  if (plan.contexts.empty()) refuse("--contexts", "empty", "numbers of tokens");
  if (plan.chunk_sizes.empty()) refuse("--k", "empty", "tokens a chunk");
  if (plan.expand.empty()) refuse("--expand", "empty", "shares of the chunks");
  if (plan.batches.empty()) refuse("--batch", "empty", "requests at a time");
  for (const std::size_t context : plan.contexts) {
    if (context == 0 || context % kPassageTokens != 0 || context > kPassageTokens * kMostPassages) {
      refuse("--contexts", message(context),
             message("multiples of ", kPassageTokens, " (a passage), up to ", kPassageTokens * kMostPassages));
    }
  }
  for (const std::size_t size : plan.chunk_sizes) {
    if (size == 0 || size > kPassageTokens) refuse("--k", message(size), message("1 to ", kPassageTokens));
  }
  for (const double share : plan.expand) {
    if (!(share >= 0 && share <= 1)) refuse("--expand", message(share), "0 to 1");
  }
  for (const std::size_t batch : plan.batches) {
    if (batch == 0 || batch > 64) refuse("--batch", message(batch), "1 to 64");
  }
  if (plan.tokens < 2 || plan.tokens > EngineConfig{}.max_tokens_limit) {
    refuse("--tokens", message(plan.tokens), message("2 to ", EngineConfig{}.max_tokens_limit));
  }
  if (plan.repeat == 0) refuse("--repeat", "0", "1 or more");
  if (plan.max_step_positions == 0) refuse("--step-positions", "0", "1 or more");
}

std::string label_of(const LatencySetting& setting) {
  if (setting.mode == Mode::kFull) return "full context";
  std::string label = message("k=", setting.chunk_size, setting.cached ? ", cached" : ", on the spot");
  if (setting.expand > 0) label += message(", ", setting.expand * 100, " % expanded");
  return label;
}

std::vector<LatencySetting> settings_of(const LatencyPlan& plan, std::size_t context) {
  std::vector<LatencySetting> settings = {{.context = context, .chunk_size = plan.chunk_sizes.front()}};
  for (const std::size_t size : plan.chunk_sizes) {
    for (const double share : plan.expand) {
      for (const bool cached : {true, false}) {
        settings.push_back({context, Mode::kRefrag, size, share, cached});
      }
    }
  }
  return settings;
}

std::vector<LatencyRow> measure_latency(const LatencyPlan& plan, std::shared_ptr<const SyntheticTokenizer> tokenizer,
                                        const MakeRunner& make_runner, const OnRun& on_run) {
  check(plan);
  RunCounter counter(plan, on_run);
  std::vector<LatencyRow> rows;
  for (const std::size_t context : plan.contexts) {
    LatencyRound round(plan, counter);
    for (const LatencySetting& setting : settings_of(plan, context)) {
      round.add(std::make_unique<LatencyCell>(plan, setting, tokenizer, make_runner(setting.chunk_size)));
    }
    std::vector<LatencyRow> of_context = round.measure();
    std::move(of_context.begin(), of_context.end(), std::back_inserter(rows));
  }
  return rows;
}

}  // namespace refrag::bench

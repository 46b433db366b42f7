#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/preparation.h"
#include "refrag/engine.h"
#include "support/errors.h"
#include "support/fake_runner.h"

namespace refrag::testing {

inline FakeModel bare_model() {
  FakeModel model;
  model.prompt.text = "{context}Q: {question}\nA:";
  model.prompt.passage = "{text}\n";
  return model;
}

inline FakeModel model_that_says(const std::string& answer) {
  FakeModel model = bare_model();
  model.answer = answer;
  return model;
}

inline Query ask_about(const std::string& question) {
  Query query;
  query.question = question;
  query.passages = {{"sky", "", "The sky over the sea was blue."}, {"sea", "", "The sea was green and deep."}};
  query.expand.fraction = 0.25;
  query.max_tokens = 24;
  return query;
}

/// The same without a need for the encoder.
inline Query ask_in_full(const std::string& question) {
  Query query = ask_about(question);
  query.mode = Mode::kFull;
  return query;
}

inline Query without_passages(const std::string& question) {
  Query query = ask_about(question);
  query.passages.reset();
  query.mode = Mode::kNone;
  return query;
}

/// Everything a request said, with a way to wait for parts of it.
class Listener {
 public:
  std::function<void(const Event&)> hear() {
    return [this](const Event& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
      changed_.notify_all();
    };
  }
  void wait_for_tokens(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return tokens() >= count || has_ended(); });
  }
  Event wait_for_end() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return has_ended(); });
    return events_.back();
  }
  Answer wait_for_answer() { return std::get<Answer>(wait_for_end()); }
  std::vector<Event> events() {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  std::size_t tokens() const {
    return static_cast<std::size_t>(std::count_if(
        events_.begin(), events_.end(), [](const Event& event) { return std::holds_alternative<TokenEvent>(event); }));
  }
  bool has_ended() const {
    return !events_.empty() &&
           (std::holds_alternative<Answer>(events_.back()) || std::holds_alternative<Error>(events_.back()));
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;  // guarded by mutex_
};

inline std::string joined_tokens(const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events) {
    if (const auto* token = std::get_if<TokenEvent>(&event)) text += token->text;
  }
  return text;
}

class EngineTest : public ::testing::Test {
 protected:
  Engine& start(FakeModel model = bare_model(), EngineConfig config = {},
                std::shared_ptr<KnowledgeBase> knowledge_base = nullptr) {
    engine_.reset();
    runner_ = std::make_shared<FakeRunner>(std::move(model));
    engine_ = std::make_unique<Engine>(runner_, std::move(knowledge_base), config);
    return *engine_;
  }
  /// An answer that ends only when it is made to.
  Engine& start_endless() {
    FakeModel model = bare_model();
    model.context_length = 1u << 24;
    EngineConfig config;
    config.max_tokens_limit = 1u << 20;
    return start(model, config);
  }
  static Query endless() {
    Query query = ask_about("why?");
    query.max_tokens = 1u << 20;
    return query;
  }
  /// Returns when all requests that need no encoder are prepared: one behind them stands before the closed encoder.
  void wait_until_prepared() {
    runner_->encode_gate().close();
    const RequestId behind = engine_->submit(ask_about("one behind them"), [](const Event&) {});
    runner_->encode_gate().wait_for_arrival();
    engine_->cancel(behind);
  }

  std::shared_ptr<FakeRunner> runner_;
  std::unique_ptr<Engine> engine_;
};

/// The greedy answer by single forwards over whole sequences: no cache, no batches, no threads. `expansions` says which
/// chunks (by number in the order of the prompt) are expanded before which token.
inline std::string reference_answer(const FakeRunner& runner, const Query& query,
                                    const std::vector<ExpansionEvent>& expansions = {}) {
  const auto shared = std::shared_ptr<const FakeRunner>(&runner, [](const FakeRunner*) {});
  const Preparation preparation(shared, nullptr, 1000, [] { return LatencyModel(); });
  PhaseClock clock(Clock::now());
  PreparedRequest prepared = preparation.prepare(query, clock, [] {});
  std::string text;
  for (std::size_t n = 0; n < query.max_tokens; ++n) {
    for (const ExpansionEvent& expansion : expansions) {
      if (expansion.at_token != n) continue;
      for (const ChunkRef ref : expansion.chunks) {
        std::size_t chunk = 0;
        while (!(prepared.input.ref(chunk) == ref)) ++chunk;
        prepared.input.expand(chunk);
      }
    }
    const std::vector<float> logits = runner.logits_after(prepared.input.entries(), &prepared.projected);
    const auto id = static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    if (id == FakeTokenizer::kEos) break;
    text += runner.info().tokenizer->bytes_of(id);
    prepared.input.add_tokens({&id, 1});
  }
  return text.substr(std::min(text.size(), text.find_first_not_of(' ')));
}

}  // namespace refrag::testing

// The engine over a trained model, tests/golden/bundles/refrag-tiny, in fp32.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

#include "engine/bundle_runner.h"
#include "engine/preparation.h"
#include "engine/sampler.h"
#include "refrag/engine.h"
#include "refrag/model_bundle.h"
#include "support/golden.h"

namespace refrag {
namespace {

constexpr double kSame = 5e-5;  // of log-probabilities: sums in another order

/// Four records in the style of the training data; the question is about the second.
Query ask_about(const std::string& field) {
  Query query;
  query.question = "What is the " + field + " of htop?";
  query.passages.emplace();
  for (const auto& [name, section, summary] : std::vector<std::array<std::string, 3>>{
           {"oomd", "admin", "userspace Out-Of-Memory (OOM) killer for Linux systems"},
           {"htop", "utils", "interactive processes viewer with a tree view"},
           {"libpng-dev", "libdevel", "PNG library - development files"},
           {"kde-standard", "kde", "KDE Plasma Desktop and standard set of applications"}}) {
    query.passages->push_back(
        {name, name,
         "Package: " + name + "\nSection: " + section +
             "\nVersion: 3.2.2-2\nInstalled size: 390 kB\nMaintainer: Daniel Lange\nSummary: " + summary + "\n"});
  }
  query.max_tokens = 24;
  query.logprobs = 5;
  return query;
}

void expect_same_tokens(const Answer& found, const Answer& expected, double tolerance) {
  EXPECT_EQ(found.text, expected.text);
  ASSERT_EQ(found.tokens.size(), expected.tokens.size());
  for (std::size_t n = 0; n < found.tokens.size(); ++n) {
    EXPECT_EQ(found.tokens[n].text, expected.tokens[n].text);
    EXPECT_NEAR(*found.tokens[n].logprob, *expected.tokens[n].logprob, tolerance) << "token " << n;
  }
}

class BundleEngineTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    ModelOptions options;
    options.dtype = Dtype::kFp32;
    bundle_ = ModelBundle::load(testing::trained_bundle(), options);
  }
  static void TearDownTestSuite() { bundle_.reset(); }

  std::unique_ptr<Engine> make_engine(const EngineConfig& config = {}) const {
    return std::make_unique<Engine>(runner_, nullptr, config);
  }
  PreparedRequest prepare(const Query& query) const {
    const Preparation preparation(runner_, nullptr, runner_->info().context_length, [] { return LatencyModel(); });
    PhaseClock clock(Clock::now());
    return preparation.prepare(query, clock, [] {});
  }
  /// Of the last entry, computed from the first in a sequence of its own. No engine may run.
  std::vector<float> logits_after(const PreparedRequest& prepared) const {
    const SequenceId sequence = runner_->open_sequence(prepared.input.length());
    const StepInput input{sequence, 0, prepared.input.entries(), &prepared.projected, 1};
    std::vector<float> logits = runner_->step({&input, 1}).at(0).values;
    runner_->close_sequence(sequence);
    return logits;
  }

  static std::shared_ptr<const ModelBundle> bundle_;
  std::shared_ptr<BundleRunner> runner_ = std::make_shared<BundleRunner>(bundle_);
};
std::shared_ptr<const ModelBundle> BundleEngineTest::bundle_;

TEST_F(BundleEngineTest, FullEqualsRefragWithEverythingExpandedToTheLastLogit) {
  const auto engine = make_engine();
  for (const std::string field : {"section", "summary", "maintainer"}) {
    Query query = ask_about(field);
    query.expand.fraction = 1;
    const Answer refrag = engine->ask(query);
    query.mode = Mode::kFull;
    const Answer full = engine->ask(query);
    EXPECT_EQ(refrag.usage.prompt_positions, full.usage.prompt_positions);
    expect_same_tokens(refrag, full, 0);
    for (std::size_t n = 0; n < full.tokens.size(); ++n) {
      for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(refrag.tokens[n].top[i].logprob, full.tokens[n].top[i].logprob);
      }
    }
    query.mode = Mode::kRefrag;
    query.expand.fraction = 0;
    const Answer compressed = engine->ask(query);
    EXPECT_LT(4 * compressed.usage.prompt_positions, 2 * full.usage.prompt_positions) << "8 tokens a vector";
    EXPECT_NE(compressed.tokens.at(0).logprob, full.tokens.at(0).logprob);
  }
}

TEST_F(BundleEngineTest, FullAndRefragWithEverythingExpandedHaveTheSameLogitsOfTheWholeVocabulary) {
  Query query = ask_about("section");
  query.expand.fraction = 1;
  const std::vector<float> refrag = logits_after(prepare(query));
  query.mode = Mode::kFull;
  EXPECT_EQ(refrag.size(), runner_->info().vocab_size);
  EXPECT_EQ(refrag, logits_after(prepare(query)));
}

TEST_F(BundleEngineTest, TokensAfterAnExpansionEqualThoseOfTheSameLayoutAndPrefixComputedAnew) {
  for (const bool by_entropy : {false, true}) {
    Query query = ask_about("summary");
    query.expand.fraction = 0;
    query.expand.while_decoding.every = by_entropy ? 0 : 3;
    query.expand.while_decoding.entropy = by_entropy ? 0.5 : 0;
    std::vector<ExpansionEvent> expansions;
    Answer answer;
    {
      const auto engine = make_engine();
      for (const Event& event : engine->stream(query)) {
        if (const auto* expansion = std::get_if<ExpansionEvent>(&event)) expansions.push_back(*expansion);
        if (const auto* whole = std::get_if<Answer>(&event)) answer = *whole;
      }
    }
    ASSERT_GE(expansions.size(), 2u);
    ASSERT_GT(answer.tokens.size(), expansions.back().at_token) << "something is said after the last";
    EXPECT_EQ(answer.usage.expanded_while_decoding, 2 * expansions.size());

    Query forced = query;  // the final layout, before decoding
    forced.expand = {};
    forced.expand.by = ExpandBy::kIds;
    for (const ExpansionEvent& event : expansions) {
      forced.expand.ids.insert(forced.expand.ids.end(), event.chunks.begin(), event.chunks.end());
    }
    PreparedRequest fresh = prepare(forced);

    PreparedRequest followed = prepare(query);
    auto next = expansions.begin();
    for (std::size_t n = 0; n < answer.tokens.size(); ++n) {
      if (next != expansions.end() && next->at_token == n) {
        for (const ChunkRef ref : (next++)->chunks) {
          std::size_t chunk = 0;
          while (!(followed.input.ref(chunk) == ref)) ++chunk;
          followed.input.expand(chunk);
        }
      }
      const std::vector<float> logits = logits_after(n < expansions.back().at_token ? followed : fresh);
      const TokenId best = pick_token(logits, {}, {}, n);
      EXPECT_NEAR(RawDistribution(logits).logprob(best), *answer.tokens[n].logprob, kSame) << "token " << n;
      followed.input.add_tokens({&best, 1});
      fresh.input.add_tokens({&best, 1});
    }
    EXPECT_TRUE(std::ranges::equal(followed.input.entries(), fresh.input.entries()));
  }
}

/// Asks all at once: the first is held at its first token until all others are prepared, so that they run beside it.
std::vector<Answer> ask_together(Engine& engine, const std::vector<Query>& queries) {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t prepared = 0;
  std::vector<Answer> answers(queries.size());
  std::size_t ended = 0;
  for (std::size_t n = 0; n < queries.size(); ++n) {
    engine.submit(queries[n], [&, n](const Event& event) {
      std::unique_lock lock(mutex);
      if (std::holds_alternative<RetrievalReport>(event) || std::holds_alternative<Error>(event)) ++prepared;
      if (n == 0 && std::holds_alternative<TokenEvent>(event)) {
        changed.wait(lock, [&] { return prepared >= queries.size(); });
      }
      if (const auto* answer = std::get_if<Answer>(&event)) answers[n] = *answer;
      if (std::holds_alternative<Answer>(event) || std::holds_alternative<Error>(event)) ++ended;
      changed.notify_all();
    });
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return ended == queries.size(); });
  return answers;
}

std::vector<Query> several() {
  std::vector<Query> queries;
  for (const std::string field : {"summary", "section", "version", "maintainer", "installed size", "summary"}) {
    queries.push_back(ask_about(field));
    queries.back().expand.while_decoding.every = queries.size() % 2 == 0 ? 4 : 0;
    queries.back().mode = queries.size() % 3 == 0 ? Mode::kFull : Mode::kRefrag;
  }
  return queries;
}

TEST_F(BundleEngineTest, RequestsThatAreBatchedAnswerAsIfAlone) {
  const auto engine = make_engine();
  const std::vector<Query> queries = several();
  std::vector<Answer> alone;
  for (const Query& query : queries) alone.push_back(engine->ask(query));
  const std::vector<Answer> together = ask_together(*engine, queries);
  for (std::size_t n = 0; n < queries.size(); ++n) expect_same_tokens(together[n], alone[n], kSame);
}

TEST_F(BundleEngineTest, RequestsThatTakeTurnsInATightMemoryAnswerAsIfAlone) {
  const std::vector<Query> queries = several();
  std::vector<Answer> alone;
  std::size_t longest = 0;
  {
    const auto engine = make_engine();
    for (const Query& query : queries) {
      alone.push_back(engine->ask(query));
      longest = std::max(longest, alone.back().usage.prompt_positions);
    }
  }
  EngineConfig config;  // the longest fits with all its expansions, and one or two beside it
  config.kv_cache_bytes = runner_->info().kv_bytes_per_position * (longest + 80);
  const auto engine = make_engine(config);
  const std::vector<Answer> together = ask_together(*engine, queries);
  for (std::size_t n = 0; n < queries.size(); ++n) expect_same_tokens(together[n], alone[n], kSame);
}

TEST_F(BundleEngineTest, ATimeToTheFirstTokenDecidesHowMuchIsExpanded) {
  const auto engine = make_engine();
  Query query = ask_about("version");
  query.expand.ttft_ms = 1e-3;  // less than any prefill
  EXPECT_EQ(engine->ask(query).usage.expanded, 0u);
  query.expand.ttft_ms = 1e6;
  const Answer answer = engine->ask(query);
  EXPECT_EQ(answer.usage.expanded, answer.usage.chunks);
  EXPECT_TRUE(engine->stats().latency_model_error.has_value());
}

}  // namespace
}  // namespace refrag

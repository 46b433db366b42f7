#include "bench/search_bench.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <set>
#include <sstream>

#include "base/clock.h"
#include "base/files.h"
#include "base/message.h"
#include "bench/spread.h"
#include "bench/synthetic_tokenizer.h"
#include "refrag/error.h"
#include "refrag/knowledge_base.h"
#include "retrieve/retriever.h"
#include "store/batch.h"
#include "store/snapshot.h"

namespace refrag::bench {
namespace {

constexpr std::size_t kPassagesACluster = 100;
constexpr double kSpreadOfCluster = 0.7;  // of a vector around its cluster's middle, whose own length is 1
constexpr double kNoiseOfQuery = 0.5;
constexpr std::size_t kWordsAPassage = 60;
constexpr std::size_t kWordsAQuery = 6;
constexpr std::size_t kPassagesACommit = 1024;
constexpr std::size_t kVocabulary = 20'000;

using Vector = std::vector<float>;

void check_search(const SearchPlan& plan) {
  const auto require = [](bool is_right, const char* option, std::size_t found, const char* expected) {
    if (is_right) return;
    throw Error(ErrorCode::kInvalidArgument, message(option, " is ", found, "; expected ", expected), option);
  };
  require(plan.passages > 0, "--passages", plan.passages, "1 or more");
  require(plan.width > 0 && plan.width <= 8192, "--width", plan.width, "1 to 8192");
  require(plan.queries > 0, "--queries", plan.queries, "1 or more");
  require(plan.top_k > 0 && plan.top_k <= 256, "--top-k", plan.top_k, "1 to 256");
}

/// Random passages: their vectors and words.
class RandomPassages {
 public:
  explicit RandomPassages(const SearchPlan& plan) : width_(plan.width), words_(kVocabulary), random_(plan.seed) {
    const std::size_t clusters = plan.passages / kPassagesACluster + 1;
    for (std::size_t n = 0; n < clusters; ++n) middles_.push_back(around(Vector(width_, 0.0f), 1));
  }

  Vector vector() {
    std::uniform_int_distribution<std::size_t> cluster(0, middles_.size() - 1);
    return around(middles_[cluster(random_)], kSpreadOfCluster);
  }

  /// A point of the unit sphere near `middle`.
  Vector around(const Vector& middle, double distance) {
    std::normal_distribution<double> normal(0, distance / std::sqrt(static_cast<double>(width_)));
    Vector vector(width_);
    double squares = 0;
    for (std::size_t i = 0; i < width_; ++i) {
      vector[i] = middle[i] + static_cast<float>(normal(random_));
      squares += static_cast<double>(vector[i]) * vector[i];
    }
    for (float& value : vector) value = static_cast<float>(value / std::sqrt(squares));
    return vector;
  }

  /// Rarer words are rarer: the n-th is drawn about as often as 1 / n (Zipf).
  std::vector<TokenId> text() {
    std::uniform_real_distribution<double> share(0, std::log(static_cast<double>(words_.words())));
    std::vector<TokenId> ids;
    while (ids.size() < kWordsAPassage) ids.push_back(words_.word(static_cast<std::size_t>(std::exp(share(random_)))));
    return ids;
  }

  std::string spell(const std::vector<TokenId>& ids) const { return words_.decode(ids, true); }
  std::string some_words(std::vector<TokenId> ids) {
    std::shuffle(ids.begin(), ids.end(), random_);
    ids.resize(kWordsAQuery);
    return spell(ids);
  }
  std::size_t any(std::size_t count) { return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_); }

 private:
  std::size_t width_;
  SyntheticTokenizer words_;
  std::mt19937_64 random_;
  std::vector<Vector> middles_;
};

struct SearchedPassages {
  std::vector<Vector> vectors;
  std::vector<std::vector<TokenId>> texts;
};

DocumentRecord search_record(std::size_t number, const Vector& vector, const std::vector<TokenId>& ids,
                             const std::string& text) {
  DocumentRecord record;
  record.document.id = std::to_string(number);
  record.document.text = text;
  record.content_hash = record.document.id;
  PassageRecord passage;
  passage.end = text.size();
  passage.chunks.push_back({ids, 0, text.size()});
  passage.vector = vector;
  record.passages.push_back(std::move(passage));
  return record;
}

SearchedPassages store_passages(const SearchPlan& plan, RandomPassages& random, KnowledgeBase& base) {
  SearchedPassages passages;
  Batch batch;
  for (std::size_t n = 0; n < plan.passages; ++n) {
    passages.vectors.push_back(random.vector());
    passages.texts.push_back(random.text());
    batch.documents.push_back(
        search_record(n, passages.vectors.back(), passages.texts.back(), random.spell(passages.texts.back())));
    if (batch.documents.size() == kPassagesACommit || n + 1 == plan.passages) {
      base.commit(batch);
      batch = {};
    }
  }
  return passages;
}

std::set<std::string> exact_search(const std::vector<Vector>& vectors, const Vector& query, std::size_t count) {
  std::vector<std::pair<float, std::size_t>> scores;
  for (std::size_t n = 0; n < vectors.size(); ++n) {
    scores.emplace_back(-std::inner_product(query.begin(), query.end(), vectors[n].begin(), 0.0f), n);
  }
  count = std::min(count, scores.size());
  std::partial_sort(scores.begin(), scores.begin() + static_cast<std::ptrdiff_t>(count), scores.end());
  std::set<std::string> ids;
  for (std::size_t n = 0; n < count; ++n) ids.insert(std::to_string(scores[n].second));
  return ids;
}

template <typename Run>
auto timed(std::vector<double>& times, const Run& run) {
  const Stopwatch watch;
  auto result = run();
  times.push_back(watch.elapsed_ms());
  return result;
}

double share_found(const Snapshot& snapshot, const std::vector<ScoredPassage>& found,
                   const std::set<std::string>& wanted) {
  std::vector<PassageKey> keys;
  for (const ScoredPassage& passage : found) keys.push_back(passage.key);
  double hits = 0;
  for (const StoredPassage& passage : snapshot.passages(keys)) hits += wanted.contains(passage.document_id) ? 1 : 0;
  return hits / static_cast<double>(wanted.size());
}

Json times_json(const std::vector<double>& times) {
  return {{"p50", percentile(times, 0.5)}, {"p95", percentile(times, 0.95)}, {"p99", percentile(times, 0.99)}};
}

}  // namespace

SearchReport measure_search(const SearchPlan& plan, const std::function<void(std::size_t)>& on_progress) {
  check_search(plan);
  const TemporaryDirectory directory;
  KnowledgeBaseSchema schema;
  schema.chunk_size = kWordsAPassage;
  schema.passage_width = plan.width;
  const auto base = KnowledgeBase::create(directory.path() / "kb", schema);
  RandomPassages random(plan);
  SearchReport report;
  report.plan = plan;
  const Stopwatch storing;
  const SearchedPassages passages = store_passages(plan, random, *base);
  if (plan.merge) base->merge();
  report.store_seconds = storing.elapsed_ms() / 1000;
  const KnowledgeBaseStats stats = base->stats();
  report.segments = stats.segments;
  report.bytes_a_passage =
      static_cast<double>(stats.vector_bytes + stats.metadata_bytes) / static_cast<double>(stats.passages);

  const Snapshot snapshot = base->snapshot();
  Vector query_vector;
  const Retriever retriever([&](const std::string&) { return query_vector; }, {}, {});
  RetrieveOptions options;
  options.top_k = plan.top_k;
  options.mode = RetrieveMode::kHybrid;
  double recall = 0;
  for (std::size_t n = 0; n < plan.queries; ++n) {
    const std::size_t of = random.any(plan.passages);
    query_vector = random.around(passages.vectors[of], kNoiseOfQuery);
    const std::string words = random.some_words(passages.texts[of]);
    const auto found = timed(report.dense, [&] { return snapshot.search_dense(query_vector, plan.top_k, {}); });
    timed(report.lexical, [&] { return snapshot.search_lexical(words, plan.top_k, {}); });
    timed(report.hybrid, [&] { return retriever.search(snapshot, words, options); });
    const auto wanted = timed(report.exact, [&] { return exact_search(passages.vectors, query_vector, plan.top_k); });
    recall += share_found(snapshot, found, wanted);
    if (on_progress) on_progress(n + 1);
  }
  report.recall = recall / static_cast<double>(plan.queries);
  return report;
}

Json to_json(const SearchReport& report) {
  return {{"passages", report.plan.passages},
          {"width", report.plan.width},
          {"queries", report.plan.queries},
          {"top_k", report.plan.top_k},
          {"segments", report.segments},
          {"passages_per_second", static_cast<double>(report.plan.passages) / report.store_seconds},
          {"bytes_per_passage", report.bytes_a_passage},
          {"recall", report.recall},
          {"dense_ms", times_json(report.dense)},
          {"lexical_ms", times_json(report.lexical)},
          {"hybrid_ms", times_json(report.hybrid)},
          {"exact_ms", times_json(report.exact)}};
}

std::string to_markdown(const SearchReport& report) {
  std::ostringstream out;
  out << report.plan.passages << " random passages, vectors of " << report.plan.width << " in " << report.segments
      << " segments, " << text_of(report.bytes_a_passage, 0) << " bytes a passage, stored at "
      << text_of(static_cast<double>(report.plan.passages) / report.store_seconds, 0) << " passages/s; "
      << report.plan.queries << " queries.\n\n| search | recall@" << report.plan.top_k
      << " | ms p50 | p95 | p99 |\n| --- | --- | --- | --- | --- |\n";
  const auto row = [&](const char* name, const std::string& recall, const std::vector<double>& times) {
    out << "| " << name << " | " << recall << " | " << text_of(percentile(times, 0.5), 2) << " | "
        << text_of(percentile(times, 0.95), 2) << " | " << text_of(percentile(times, 0.99), 2) << " |\n";
  };
  row("dense", text_of(report.recall, 3), report.dense);
  row("exact", "1", report.exact);
  row("lexical", "-", report.lexical);
  row("hybrid", "-", report.hybrid);
  return out.str();
}

}  // namespace refrag::bench

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SearchDenseTest : public StoreTest {
 protected:
  std::vector<ScoredPassage> search(const std::vector<float>& query, std::size_t count, const Metadata& filter = {}) {
    return kb().snapshot().search_dense(query, count, filter);
  }
};

double product(const std::vector<float>& a, const std::vector<float>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

TEST_F(SearchDenseTest, FindsByInnerProductBestFirstAcrossSegments) {
  create();
  std::vector<std::pair<double, std::string>> expected;
  const std::vector<float> query = vector_of("query", 6);
  for (int batch = 0; batch < 5; ++batch) {
    std::vector<std::string> names;
    for (int i = 0; i < 7; ++i) {
      names.push_back("d" + std::to_string(10 * batch + i));
      expected.emplace_back(-product(query, vector_of("the " + names.back() + " shines", 6)), names.back());
    }
    kb().commit(batch_of(names));
  }
  std::ranges::sort(expected);

  const std::vector<ScoredPassage> found = search(query, 12);

  ASSERT_THAT(found, SizeIs(12));
  const std::vector<std::string> names = found_ids(kb().snapshot(), found);
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(names[i], expected[i].second);
    EXPECT_NEAR(found[i].score, -expected[i].first, 1e-6);
  }
}

TEST_F(SearchDenseTest, SkipsDeletedAndReplacedPassages) {
  create();
  kb().commit(batch_of({"moon", "sun", "mars"}));
  kb().commit({{record_of("moon", "cheese")}, {"sun"}});

  const Snapshot snapshot = kb().snapshot();
  const std::vector<ScoredPassage> found = snapshot.search_dense(vector_of("the moon shines", 6), 10, {});

  EXPECT_EQ(sorted(found_ids(snapshot, found)), ids({"mars", "moon"}));
  for (const ScoredPassage& passage : found) {
    EXPECT_LT(passage.score, 0.999);  // 1 is what the text that is gone would have
  }
}

TEST_F(SearchDenseTest, TombstonesAndFilterTogetherLeaveWhatPassesBoth) {
  create();
  Batch batch;
  for (int i = 0; i < 20; ++i) {
    batch.documents.push_back(record_of("d" + std::to_string(i), "text " + std::to_string(i), {{"even", i % 2 == 0}}));
  }
  kb().commit(batch);
  kb().remove({"d0", "d1", "d2", "d3"});

  const std::vector<ScoredPassage> found = search(vector_of("text 2", 6), 20, {{"even", true}});

  EXPECT_EQ(sorted(found_ids(kb().snapshot(), found)), ids({"d4", "d6", "d8", "d10", "d12", "d14", "d16", "d18"}));
}

TEST_F(SearchDenseTest, EqualScoresComeInTheOrderOfTheirKeys) {
  create();
  Batch batch = batch_of({"c", "a", "b"});
  for (DocumentRecord& record : batch.documents) {
    record.passages[0].vector = vector_of("same", 6);
  }
  kb().commit(batch);
  EXPECT_THAT(found_ids(kb().snapshot(), search(vector_of("same", 6), 2)), ElementsAre("c", "a"));
}

TEST_F(SearchDenseTest, AskingForMoreThanThereIsGivesAll) {
  create();
  EXPECT_THAT(search(vector_of("x", 6), 5), IsEmpty());
  kb().commit(batch_of({"moon"}));
  EXPECT_THAT(search(vector_of("x", 6), 1'000'000'000), SizeIs(1));
  EXPECT_THAT(search(vector_of("x", 6), 0), IsEmpty());
}

TEST_F(SearchDenseTest, QueryThatDoesNotFitIsRefused) {
  create();
  kb().commit(batch_of({"moon"}));
  std::vector<float> with_nan = vector_of("x", 6);
  with_nan[2] = std::nanf("");
  std::vector<float> with_infinity = vector_of("x", 6);
  with_infinity[5] = std::numeric_limits<float>::infinity();
  for (const std::vector<float>& query : {vector_of("x", 5), std::vector<float>{}, with_nan, with_infinity}) {
    const Error error = error_of([&] { search(query, 3); });
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_EQ(error.param(), "query");
  }
}

}  // namespace
}  // namespace refrag::testing

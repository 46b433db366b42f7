#include "retrieve/retriever.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr RetrieveMode kDense = RetrieveMode::kDense;
constexpr RetrieveMode kLexical = RetrieveMode::kLexical;
constexpr RetrieveMode kHybrid = RetrieveMode::kHybrid;

// Vectors lie in a plane: 0 degrees is what the query means.
std::vector<float> direction(double degrees) {
  const double radians = degrees * 3.14159265358979 / 180;
  return {static_cast<float>(std::cos(radians)), static_cast<float>(std::sin(radians)), 0, 0, 0, 0};
}

RetrieveOptions by(RetrieveMode mode, std::size_t top_k = 8) {
  RetrieveOptions options;
  options.mode = mode;
  options.top_k = top_k;
  return options;
}

class RetrieverTest : public StoreTest {
 protected:
  void SetUp() override { create(); }

  void add(const std::string& id, const std::string& text, double degrees, Metadata metadata = {}) {
    DocumentRecord record = record_of(id, text, std::move(metadata));
    record.passages[0].vector = direction(degrees);
    kb().commit({{record}, {}});
  }
  // "tide" is best by its words, "sea" by its meaning; "moon" is second in both.
  void add_three() {
    add("tide", "tide tide tide", 80);
    add("moon", "the tide follows what is above the water", 20);
    add("sea", "salt water", 10);
  }

  std::vector<RetrievedPassage> search(const Retriever& retriever, const RetrieveOptions& options,
                                       const std::string& query = "tide") {
    return retriever.search(kb().snapshot(), query, options);
  }
  std::vector<std::string> found(const Retriever& retriever, const RetrieveOptions& options,
                                 const std::string& query = "tide") {
    std::vector<std::string> ids;
    for (const RetrievedPassage& passage : search(retriever, options, query)) {
      ids.push_back(passage.passage.document_id);
    }
    return ids;
  }

  static std::vector<float> embed(const std::string&) { return direction(0); }
  const Retriever plain_{embed, {}};
};

TEST_F(RetrieverTest, RanksByMeaningByWordsOrByBoth) {
  add_three();

  EXPECT_THAT(found(plain_, by(kDense)), ElementsAre("sea", "moon", "tide"));
  EXPECT_THAT(found(plain_, by(kLexical)), ElementsAre("tide", "moon"));
  EXPECT_THAT(found(plain_, by(kHybrid)), ElementsAre("tide", "moon", "sea"));
}

TEST_F(RetrieverTest, ShowsScoreAndRankOfEachSearch) {
  add_three();

  const std::vector<RetrievedPassage> hits = search(plain_, by(kHybrid));
  ASSERT_THAT(hits, SizeIs(3));
  const Hit tide = to_hit(hits[0]);
  EXPECT_EQ(tide.passage_id, "tide#0");
  EXPECT_EQ(tide.title, "title of tide");
  EXPECT_EQ(tide.text, "tide tide tide");
  EXPECT_EQ(tide.end, 14U);
  EXPECT_DOUBLE_EQ(tide.score, 1.0 / 63 + 1.0 / 61);
  EXPECT_EQ(tide.dense->rank, 3U);
  EXPECT_NEAR(tide.dense->score, 0.1736, 0.02);
  EXPECT_EQ(tide.lexical->rank, 1U);
  EXPECT_FALSE(to_hit(hits[2]).lexical.has_value());
  EXPECT_DOUBLE_EQ(search(plain_, by(kDense))[0].score, search(plain_, by(kDense))[0].dense->score);
}

TEST_F(RetrieverTest, GivesAtMostTopK) {
  add_three();

  EXPECT_THAT(found(plain_, by(kDense, 2)), ElementsAre("sea", "moon"));
  EXPECT_THAT(found(plain_, by(kHybrid, 0)), IsEmpty());
  EXPECT_THAT(found(plain_, by(kDense, std::numeric_limits<std::size_t>::max())), SizeIs(3));
}

TEST_F(RetrieverTest, GivesNothingFromAnEmptyBase) { EXPECT_THAT(found(plain_, by(kHybrid)), IsEmpty()); }

TEST_F(RetrieverTest, FiltersInsideBothSearches) {
  add("tide", "tide tide tide", 5);
  add("moon", "tide of the moon", 10, {{"far", true}});

  for (const RetrieveMode mode : {kDense, kLexical, kHybrid}) {
    RetrieveOptions options = by(mode, 1);
    options.filter = {{"far", true}};
    EXPECT_THAT(found(plain_, options), ElementsAre("moon"));
  }
}

TEST_F(RetrieverTest, LeavesOutLowScoresButNotWhereNoneIsAskedFor) {
  add_three();
  add("opposite", "fire", 170);

  RetrieveOptions options = by(kDense);
  options.min_score = 0.5;
  EXPECT_THAT(found(plain_, options), ElementsAre("sea", "moon"));
  EXPECT_THAT(found(plain_, by(kDense)), ElementsAre("sea", "moon", "tide", "opposite"));
}

TEST_F(RetrieverTest, CollapsesNearDuplicatesIntoTheBestRanked) {
  add("copy", "the tide follows what is above the water", 40);
  add_three();

  EXPECT_THAT(found(plain_, by(kDense, 2)), ElementsAre("sea", "moon"));
  EXPECT_THAT(found(plain_, by(kDense)), ElementsAre("sea", "moon", "tide"));
}

TEST_F(RetrieverTest, FillsTheAnswerBehindManyDuplicates) {
  for (int i = 0; i < 30; ++i) {
    add("copy" + std::to_string(i), "always the same words", 1);
  }
  add("other", "something else", 90);

  EXPECT_THAT(found(plain_, by(kDense, 2)), ElementsAre("copy0", "other"));
}

TEST_F(RetrieverTest, BreaksTiesInTheOrderOfTheBase) {
  add("b", "one text", 10);
  add("a", "another text", 10);

  EXPECT_THAT(found(plain_, by(kDense)), ElementsAre("b", "a"));
}

TEST_F(RetrieverTest, LetsTheRerankerDecideTheOrder) {
  add_three();
  std::vector<std::string> read;
  const Retriever retriever(embed, [&](const std::string& query, const std::vector<std::string>& texts) {
    EXPECT_EQ(query, "tide");
    read = texts;
    std::vector<float> scores;
    for (const std::string& text : texts) {
      scores.push_back(static_cast<float>(text.size()));
    }
    return scores;
  });

  const std::vector<RetrievedPassage> hits = search(retriever, by(kDense, 1));

  EXPECT_THAT(read, SizeIs(3)) << "more than top_k are read";
  ASSERT_THAT(hits, SizeIs(1));
  EXPECT_EQ(hits[0].passage.document_id, "moon");
  EXPECT_EQ(hits[0].rerank->rank, 1U);
  EXPECT_DOUBLE_EQ(hits[0].rerank->score, 40);
  EXPECT_EQ(hits[0].dense->rank, 2U);
}

TEST_F(RetrieverTest, UsesTheDefaultModeOfTheModel) {
  add_three();
  const Retriever lexical(embed, {}, {.default_mode = kLexical});

  EXPECT_THAT(found(lexical, {}), ElementsAre("tide", "moon"));
}

TEST_F(RetrieverTest, RefusesDenseSearchWhereTheModelHasNone) {
  add_three();
  const Retriever words_only({}, {});

  for (const RetrieveMode mode : {kDense, kHybrid}) {
    const Error error = error_of([&] { search(words_only, by(mode)); });
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_EQ(error.param(), "retrieve.mode");
  }
  EXPECT_THAT(found(words_only, {}), ElementsAre("tide", "moon")) << "a hybrid default is lexical then";
}

TEST_F(RetrieverTest, RefusesDenseSearchInABaseWithoutPassageVectors) {
  KnowledgeBaseSchema schema = small_schema();
  schema.passage_width = 0;
  const auto base = KnowledgeBase::create(path().parent_path() / "words", schema);
  base->commit({{record_of("tide", "tide", {}, schema)}, {}});

  const Error error = error_of([&] { plain_.search(base->snapshot(), "tide", by(kDense)); });
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_EQ(error.param(), "retrieve.mode");
  EXPECT_THAT(plain_.search(base->snapshot(), "tide", {}), SizeIs(1));
}

TEST_F(RetrieverTest, NamesTheFieldThatIsWrong) {
  EXPECT_EQ(error_of([&] { search(plain_, {}, " \n"); }).param(), "query");
  RetrieveOptions options;
  options.min_score = std::nan("");
  EXPECT_EQ(error_of([&] { search(plain_, options); }).param(), "retrieve.min_score");
}

}  // namespace
}  // namespace refrag::testing

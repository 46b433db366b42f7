#include <gmock/gmock.h>

#include <limits>
#include <string>
#include <vector>

#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

class MetadataFilterTest : public StoreTest {
 protected:
  void SetUp() override {
    create();
    kb().commit(
        {{record_of("text one", "moon", {{"value", "1"}}),
          record_of("integer one", "moon", {{"value", std::int64_t{1}}}),
          record_of("real one", "moon", {{"value", 1.0}}), record_of("true", "moon", {{"value", true}}),
          record_of("false", "moon", {{"value", false}}), record_of("zero", "moon", {{"value", std::int64_t{0}}}),
          record_of("empty", "moon", {{"value", ""}}), record_of("half", "moon", {{"value", 0.5}}),
          record_of("large", "moon", {{"value", kLargest}}),
          record_of("other", "moon", {{"another", std::int64_t{1}}, {"lang", "en"}}), record_of("none", "moon")},
         {}});
  }
  /// Both searches must find the same documents.
  std::vector<std::string> find(const Metadata& filter) {
    const Snapshot snapshot = kb().snapshot();
    std::vector<std::string> lexical = sorted(found_ids(snapshot, snapshot.search_lexical("moon", 100, filter)));
    EXPECT_EQ(sorted(found_ids(snapshot, snapshot.search_dense(vector_of("x", 6), 100, filter))), lexical);
    return lexical;
  }
};

TEST_F(MetadataFilterTest, TextEqualsTextOnly) {
  EXPECT_THAT(find({{"value", "1"}}), ElementsAre("text one"));
  EXPECT_THAT(find({{"value", ""}}), ElementsAre("empty"));
  EXPECT_THAT(find({{"value", "true"}}), IsEmpty());
}

TEST_F(MetadataFilterTest, NumbersAreEqualByValue) {
  EXPECT_THAT(find({{"value", std::int64_t{1}}}), UnorderedElementsAre("integer one", "real one"));
  EXPECT_THAT(find({{"value", 1.0}}), UnorderedElementsAre("integer one", "real one"));
  EXPECT_THAT(find({{"value", 0.5}}), ElementsAre("half"));
  EXPECT_THAT(find({{"value", kLargest}}), ElementsAre("large"));
  EXPECT_THAT(find({{"value", kLargest - 1}}), IsEmpty());
}

TEST_F(MetadataFilterTest, BooleansEqualNoNumber) {
  EXPECT_THAT(find({{"value", true}}), ElementsAre("true"));
  EXPECT_THAT(find({{"value", false}}), ElementsAre("false"));
  EXPECT_THAT(find({{"value", std::int64_t{0}}}), ElementsAre("zero"));
}

TEST_F(MetadataFilterTest, AllOfSeveralNamesMustBeEqual) {
  EXPECT_THAT(find({{"another", std::int64_t{1}}, {"lang", "en"}}), ElementsAre("other"));
  EXPECT_THAT(find({{"another", std::int64_t{1}}, {"lang", "de"}}), IsEmpty());
}

TEST_F(MetadataFilterTest, NameThatNoDocumentHasMatchesNone) {
  EXPECT_THAT(find({{"unknown", "x"}}), IsEmpty());
  EXPECT_THAT(find({{"", "x"}}), IsEmpty());
  EXPECT_THAT(find({{"val'ue\" OR 1=1", "x"}}), IsEmpty());
}

TEST_F(MetadataFilterTest, ReplacedDocumentIsFoundByItsNewValuesOnly) {
  kb().commit({{record_of("other", "moon", {{"lang", "de"}})}, {}});
  EXPECT_THAT(find({{"lang", "en"}}), IsEmpty());
  EXPECT_THAT(find({{"lang", "de"}}), ElementsAre("other"));
}

TEST_F(MetadataFilterTest, StillHoldsAfterMergesAndReopening) {
  kb().commit({{record_of("late", "moon", {{"value", true}})}, {"false", "zero"}});
  kb().merge();
  reopen();
  EXPECT_THAT(find({{"value", true}}), UnorderedElementsAre("late", "true"));
  EXPECT_THAT(find({{"value", false}}), IsEmpty());
}

TEST_F(MetadataFilterTest, ValuesComeBackWithTheirTypes) {
  const Metadata metadata = {{"a", "1"},  {"b", std::int64_t{1}}, {"c", 1.0},
                             {"d", true}, {"e", kLargest},        {"f", 1e300}};
  kb().commit({{record_of("typed", "x", metadata)}, {}});
  EXPECT_EQ(kb().get("typed")->document.metadata, metadata);
}

}  // namespace
}  // namespace refrag::testing

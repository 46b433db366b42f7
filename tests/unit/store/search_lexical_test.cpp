#include <gmock/gmock.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class SearchLexicalTest : public StoreTest {
 protected:
  void store(const std::vector<std::pair<std::string, std::string>>& documents) {
    Batch batch;
    for (const auto& [id, text] : documents) {
      batch.documents.push_back(record_of(id, text));
      batch.documents.back().document.title.clear();
    }
    kb().commit(batch);
  }
  std::vector<std::string> find(std::string_view query, std::size_t count = 10, const Metadata& filter = {}) {
    const Snapshot snapshot = kb().snapshot();
    return found_ids(snapshot, snapshot.search_lexical(query, count, filter));
  }
};

TEST_F(SearchLexicalTest, RanksPassagesWithMoreAndRarerWordsFirst) {
  create();
  store({{"a", "a moon and a sun"}, {"b", "a sun"}, {"c", "a sun and a comet"}, {"d", "nothing"}});
  const std::vector<std::string> found = find("sun comet");
  ASSERT_THAT(found, UnorderedElementsAre("a", "b", "c"));
  EXPECT_EQ(found.front(), "c");
  const std::vector<ScoredPassage> scored = kb().snapshot().search_lexical("sun comet", 10, {});
  EXPECT_GE(scored[0].score, scored[1].score);
  EXPECT_GE(scored[1].score, scored[2].score);
}

TEST_F(SearchLexicalTest, CaseAndAccentsDoNotMatter) {
  create();
  store({{"a", "Das MÜNSTER von Köln"}, {"b", "elsewhere"}});
  EXPECT_THAT(find("münster"), ElementsAre("a"));
  EXPECT_THAT(find("MUNSTER"), ElementsAre("a"));
  EXPECT_THAT(find("koln"), ElementsAre("a"));
}

TEST_F(SearchLexicalTest, TitlesCountMoreThanTexts) {
  create();
  DocumentRecord titled = record_of("titled", "some words about something");
  titled.document.title = "comet";
  DocumentRecord told = record_of("told", "some words about a comet");
  told.document.title = "else";
  kb().commit({{told, titled}, {}});
  EXPECT_THAT(find("comet"), ElementsAre("titled", "told"));
}

TEST_F(SearchLexicalTest, HyphenatedNameIsAPhraseThatBeatsItsParts) {
  create();
  store({{"parts", "the util of php and http for a message, in a fig tree, php http message util"},
         {"name", "depends on php-fig-http-message-util"},
         {"other", "depends on php-psr-log"},
         {"none", "depends on nothing"}});
  const std::vector<std::string> found = find("php-fig-http-message-util");
  ASSERT_FALSE(found.empty());
  EXPECT_EQ(found.front(), "name");
  EXPECT_THAT(find("is php-fig-http-message-util needed?").front(), "name");
}

TEST_F(SearchLexicalTest, VersionIsFoundAsAWhole) {
  create();
  store({{"new", "version 3.2.2-2 of the package"},
         {"mixed", "version 2.3.2-2 of the package"},
         {"old", "version 3.1.0-1 of the package"}});
  EXPECT_EQ(find("3.2.2-2").front(), "new");
  EXPECT_THAT(find("3.1.0-1"), ElementsAre("old"));
}

TEST_F(SearchLexicalTest, VeryCommonWordsAreDroppedWhileRarerOnesRemain) {
  create();
  Batch batch;
  for (int i = 0; i < 1100; ++i) {
    batch.documents.push_back(record_of("d" + std::to_string(i), i == 7 ? "the comet" : "the stone"));
  }
  kb().commit(batch);

  EXPECT_THAT(find("the comet", 2000), ElementsAre("d7"));
  EXPECT_THAT(find("the stone", 2000), SizeIs(1100));  // all of its words are common
}

TEST_F(SearchLexicalTest, CommonWordsCountInASmallBase) {
  create();
  store({{"a", "the moon"}, {"b", "the sun"}});
  EXPECT_THAT(find("the moon"), ElementsAre("a", "b"));
}

TEST_F(SearchLexicalTest, TombstonesAndFilterLeaveWhatPassesBoth) {
  create();
  Batch batch;
  for (int i = 0; i < 8; ++i) {
    batch.documents.push_back(record_of("d" + std::to_string(i), "stone", {{"kind", i < 4 ? "a" : "b"}}));
  }
  kb().commit(batch);
  kb().commit({{record_of("d1", "wood", {{"kind", "a"}})}, {"d0"}});

  EXPECT_THAT(find("stone", 10, {{"kind", "a"}}), UnorderedElementsAre("d2", "d3"));
  EXPECT_THAT(find("stone", 1, {{"kind", "a"}}), SizeIs(1));
  EXPECT_THAT(find("stone", 10, {{"kind", "c"}}), IsEmpty());
  EXPECT_THAT(find("stone", 0), IsEmpty());
}

TEST_F(SearchLexicalTest, TextIsNeverQuerySyntax) {
  create();
  store({{"a", "the moon near one star"}});
  for (const std::string_view hostile : {"moon\"",
                                         "\"moon",
                                         "\"\"\"",
                                         "moon OR",
                                         "NOT moon",
                                         "moon AND (",
                                         "title:moon",
                                         "text : moon",
                                         "{title text}:moon",
                                         "mo*",
                                         "^moon",
                                         "moon NEAR(star, 1)",
                                         "NEAR(",
                                         "-moon",
                                         "+moon",
                                         "moon;DROP TABLE documents",
                                         "'; --",
                                         "\\",
                                         "%",
                                         "moon\n\r\t\v\f",
                                         "()",
                                         "*",
                                         ":",
                                         "\xff\xfe moon",
                                         "\xed\xa0\x80",
                                         "moon\xe2\x82"}) {
    EXPECT_NO_THROW(find(hostile)) << hostile;
  }
  EXPECT_THAT(find("NOT moon"), ElementsAre("a"));
  EXPECT_THAT(find("title:moon"), ElementsAre("a"));
  EXPECT_THAT(find(std::string_view("moon\0star", 9)), ElementsAre("a"));
  EXPECT_THAT(find("mo*"), IsEmpty());
  EXPECT_THAT(find(""), IsEmpty());
  EXPECT_THAT(find(" \n "), IsEmpty());
  EXPECT_THAT(document_ids(kb()), ElementsAre("a"));
}

TEST_F(SearchLexicalTest, QueriesOfAnyLengthAreAnswered) {
  create();
  store({{"a", "the moon near one star"}, {"b", "w1 w2"}});
  std::string many_words;
  std::string one_word;
  std::string hyphens;
  for (int i = 0; many_words.size() < 100'000; ++i) {
    many_words += "w" + std::to_string(i) + " ";
  }
  one_word.assign(100'000, 'x');
  for (int i = 0; hyphens.size() < 100'000; ++i) {
    hyphens += "moon-";
  }
  EXPECT_THAT(find(many_words), ElementsAre("b"));
  EXPECT_THAT(find(one_word), IsEmpty());
  EXPECT_THAT(find(hyphens), ElementsAre("a"));
  EXPECT_THAT(find(std::string(100'000, '"')), IsEmpty());
  EXPECT_THAT(find(std::string(100'000, '\0')), IsEmpty());
}

}  // namespace
}  // namespace refrag::testing

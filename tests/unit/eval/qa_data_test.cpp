#include "eval/qa_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "base/files.h"
#include "refrag/error.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class QaDataTest : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& content) const {
    write_file_atomic(directory_.path() / name, content);
    return directory_.path() / name;
  }

  std::filesystem::path documents(int count) const {
    std::string lines;
    for (int n = 0; n < count; ++n) {
      lines += "{\"id\": \"d" + std::to_string(n) + "\", \"text\": \"text " + std::to_string(n) + "\"}\n";
    }
    return write("documents.jsonl", lines);
  }

  static std::string error_of(const std::filesystem::path& file) {
    try {
      read_qa(file, {});
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(QaDataTest, QuestionsMayBringTheirPassages) {
  const auto file =
      write("qa.jsonl",
            "{\"question\": \"q\", \"answers\": [\"a\", \"b\"], \"passages\": [{\"id\": \"p\", \"text\": \"t\"}], "
            "\"relevant\": [\"p\"], \"field\": \"version\"}\n");
  const auto items = read_qa(file, {});
  ASSERT_EQ(items.size(), 1U);
  EXPECT_THAT(items[0].answers, ElementsAre("a", "b"));
  EXPECT_EQ(items[0].passages.at(0).text, "t");
  EXPECT_THAT(items[0].relevant, ElementsAre("p"));
}

TEST_F(QaDataTest, PassagesAreDrawnAroundTheRightDocument) {
  const auto file = write("qa.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"document\": \"d3\"}\n");
  const DistractorOptions options{.documents = documents(20), .passages = 5, .seed = 7};
  const auto items = read_qa(file, {.distractors = options});
  std::set<std::string> ids;
  for (const InlinePassage& passage : items.at(0).passages) {
    ids.insert(passage.id);
  }
  EXPECT_EQ(ids.size(), 5U);
  EXPECT_TRUE(ids.contains("d3"));
  EXPECT_THAT(items[0].relevant, ElementsAre("d3"));
}

TEST_F(QaDataTest, TheSameSeedDrawsTheSameQuestionsAndPassages) {
  std::string lines;
  for (int n = 0; n < 20; ++n) {
    lines += "{\"question\": \"q" + std::to_string(n) + "\", \"answer\": \"a\", \"document\": \"d" + std::to_string(n) +
             "\"}\n";
  }
  const auto file = write("qa.jsonl", lines);
  const auto drawn = [&](std::uint64_t seed) {
    std::string shown;
    for (const QaItem& item :
         read_qa(file, {.distractors = DistractorOptions{documents(20), 4, seed}, .limit = 5, .seed = seed})) {
      shown += item.question;
      for (const InlinePassage& passage : item.passages) {
        shown += " " + passage.id;
      }
      shown += "\n";
    }
    return shown;
  };
  EXPECT_EQ(drawn(3), drawn(3));
  EXPECT_NE(drawn(3), drawn(4));
  EXPECT_EQ(std::ranges::count(drawn(3), '\n'), 5);
}

TEST_F(QaDataTest, FaultsAreToldWithFileLineAndField) {
  EXPECT_THAT(
      error_of(write("a.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"document\": \"d\"}\n{\"question\": 3}\n")),
      AllOf(HasSubstr("a.jsonl:2"), HasSubstr("question")));
  EXPECT_THAT(error_of(write("b.jsonl", "{\"question\": \"q\", \"answers\": []}\n")), HasSubstr("answers"));
  EXPECT_THAT(error_of(write("c.jsonl", "{\"question\": \"q\", \"answer\": \"a\"}\n")), HasSubstr("passages"));
  EXPECT_THAT(error_of(write("d.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"document\": \"d\"}\n")),
              HasSubstr("--documents"));
  EXPECT_THAT(error_of(write("e.jsonl", "{\"question\"\n")), HasSubstr("e.jsonl:1"));
  EXPECT_THAT(error_of("nowhere.jsonl"), HasSubstr("nowhere.jsonl"));
}

TEST_F(QaDataTest, ABrokenLineIsTheFilesFault) {
  for (const char* line :
       {"{\"question\"\n", "[]\n", "{\"question\": \"\", \"answer\": \"a\", \"document\": \"d\"}\n"}) {
    try {
      read_qa(write("broken.jsonl", line), {});
      FAIL() << "took " << line;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << error.what();
    }
  }
}

TEST_F(QaDataTest, ADocumentThatIsNotThereIsNamed) {
  const auto file = write("qa.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"document\": \"gone\"}\n");
  try {
    read_qa(file, {.distractors = DistractorOptions{.documents = documents(8), .passages = 4, .seed = 1}});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("qa.jsonl:1"), HasSubstr("'gone'")));
  }
}

TEST_F(QaDataTest, AFileWithoutQuestionsIsRefused) {
  EXPECT_THAT(error_of(write("empty.jsonl", "\n")), HasSubstr("empty.jsonl has no questions"));
}

TEST_F(QaDataTest, QuestionsMustSayWhatIsRelevantWhereThatIsDropped) {
  const auto file =
      write("qa.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"passages\": [{\"id\": \"p\", \"text\": \"t\"}]}\n");
  EXPECT_EQ(read_qa(file, {}).size(), 1U);
  try {
    read_qa(file, {.needs_relevant = true});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("qa.jsonl:1"), HasSubstr("relevant")));
  }
}

TEST_F(QaDataTest, ASpareDocumentIsDrawnBesideThePassages) {
  const auto file = write("qa.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"document\": \"d3\"}\n");
  const auto drawn = [&](std::size_t passages) {
    return read_qa(file, {.distractors = DistractorOptions{documents(5), passages, 7}}).at(0);
  };
  const QaItem item = drawn(4);
  ASSERT_EQ(item.spare.size(), 1U);
  for (const InlinePassage& passage : item.passages) {
    EXPECT_NE(passage.id, item.spare[0].id);
  }
  EXPECT_TRUE(drawn(5).spare.empty());  // there is no other
}

std::string ids_of(const std::vector<InlinePassage>& passages) {
  std::string ids;
  for (const InlinePassage& passage : passages) {
    ids += passage.id;
  }
  return ids;
}

QaItem item_over(const std::string& passages, const std::string& relevant, const std::string& spare) {
  QaItem item;
  for (const char id : passages) item.passages.push_back({std::string(1, id), "", ""});
  for (const char id : relevant) item.relevant.emplace_back(1, id);
  for (const char id : spare) item.spare.push_back({std::string(1, id), "", ""});
  return item;
}

TEST(ChoosePassagesTest, KeepsRelevantOnesAndTheOrder) {
  const QaItem item = item_over("abcRd", "R", "s");
  EXPECT_EQ(ids_of(choose_passages(item, {})), "abcRd");
  EXPECT_EQ(ids_of(choose_passages(item, {.count = 3})), "abR");
  EXPECT_EQ(ids_of(choose_passages(item, {.count = 1})), "R");
  EXPECT_EQ(ids_of(choose_passages(item, {.count = 9})), "abcRd");
}

TEST(ChoosePassagesTest, SmallerCountsTakeOthersByTheirPrecedence) {
  QaItem item = item_over("abRcd", "R", "");
  item.precedence = {2, 4, 0, 3, 1};
  EXPECT_EQ(ids_of(choose_passages(item, {.count = 2})), "Rd");
  EXPECT_EQ(ids_of(choose_passages(item, {.count = 3})), "aRd");
  EXPECT_EQ(ids_of(choose_passages(item, {.count = 3, .drops_relevant = true})), "acd");
  EXPECT_EQ(ids_of(choose_passages(item, {.count = 5})), "abRcd");
}

TEST_F(QaDataTest, TheRightPassageStandsAnywhereForEveryCount) {
  std::string lines;
  for (int n = 0; n < 400; ++n) {
    lines += "{\"question\": \"q\", \"answer\": \"a\", \"document\": \"d3\"}\n";
  }
  int first = 0;
  for (const QaItem& item :
       read_qa(write("qa.jsonl", lines), {.distractors = DistractorOptions{documents(20), 16, 7}})) {
    first += choose_passages(item, {.count = 2}).at(0).id == "d3" ? 1 : 0;
  }
  EXPECT_NEAR(first, 200, 40);  // four standard errors
}

TEST(ChoosePassagesTest, OthersStandInThePlacesOfDroppedOnes) {
  const QaItem item = item_over("aRbcQ", "RQ", "s");
  EXPECT_EQ(ids_of(choose_passages(item, {.count = 3, .drops_relevant = true})), "abc");
  EXPECT_EQ(ids_of(choose_passages(item, {.count = 5, .drops_relevant = true})), "asbc");  // there is no second one
  EXPECT_EQ(ids_of(choose_passages(item_over("R", "R", ""), {.drops_relevant = true})), "");
}

}  // namespace
}  // namespace refrag

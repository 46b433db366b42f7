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
      read_qa(file, std::nullopt, 0, 1);
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
  const auto items = read_qa(file, std::nullopt, 0, 1);
  ASSERT_EQ(items.size(), 1U);
  EXPECT_THAT(items[0].answers, ElementsAre("a", "b"));
  EXPECT_EQ(items[0].passages.at(0).text, "t");
  EXPECT_THAT(items[0].relevant, ElementsAre("p"));
}

TEST_F(QaDataTest, PassagesAreDrawnAroundTheRightDocument) {
  const auto file = write("qa.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"document\": \"d3\"}\n");
  const DistractorOptions options{.documents = documents(20), .passages = 5, .seed = 7};
  const auto items = read_qa(file, options, 0, 1);
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
    for (const QaItem& item : read_qa(file, DistractorOptions{documents(20), 4, seed}, 5, seed)) {
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
      read_qa(write("broken.jsonl", line), std::nullopt, 0, 1);
      FAIL() << "took " << line;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << error.what();
    }
  }
}

TEST_F(QaDataTest, ADocumentThatIsNotThereIsNamed) {
  const auto file = write("qa.jsonl", "{\"question\": \"q\", \"answer\": \"a\", \"document\": \"gone\"}\n");
  try {
    read_qa(file, DistractorOptions{.documents = documents(8), .passages = 4, .seed = 1}, 0, 1);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("'gone'"));
  }
}

}  // namespace
}  // namespace refrag

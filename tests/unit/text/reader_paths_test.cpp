#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/files.h"
#include "refrag/error.h"
#include "text/reader.h"

namespace refrag {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ReadPathsTest : public ::testing::Test {
 protected:
  fs::path write(const std::string& name, const std::string& content) {
    const fs::path path = root() / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
    return path;
  }
  const fs::path& root() const { return directory_.path(); }

  static std::vector<ReadResult> read(const std::vector<fs::path>& paths, const ReaderLimits& limits = {}) {
    std::vector<ReadResult> results;
    read_paths(paths, limits, [&](ReadResult&& result) {
      results.push_back(std::move(result));
      return true;
    });
    return results;
  }
  static std::vector<std::string> ids(const std::vector<ReadResult>& results) {
    std::vector<std::string> ids;
    for (const ReadResult& result : results) {
      ids.push_back(result.error.empty() ? result.document.id : "error: " + result.document.id);
    }
    return ids;
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(ReadPathsTest, WalksInOrderOfNamesWithPathsAsIds) {
  write("b.txt", "b");
  write("a/z.md", "z");
  write("a/c/d.HTM", "<p>d");
  write("a/c.text", "c");

  EXPECT_THAT(ids(read({root()})), ElementsAre("a/c/d.HTM", "a/c.text", "a/z.md", "b.txt"));
}

TEST_F(ReadPathsTest, PassesOverHiddenFilesLinksAndOtherFiles) {
  write("a.txt", "a");
  write(".hidden/b.txt", "b");
  write(".c.txt", "c");
  write("program.exe", "d");
  fs::create_symlink(root(), root() / "loop");
  fs::create_symlink("/etc/hostname", root() / "host.txt");

  EXPECT_THAT(ids(read({root()})), ElementsAre("a.txt"));
}

TEST_F(ReadPathsTest, ReadsAFileThatIsNamedWhateverItsExtension) {
  const fs::path path = write("notes", "text");

  EXPECT_THAT(ids(read({path})), ElementsAre("notes"));
}

TEST_F(ReadPathsTest, GoesOnBehindABrokenLine) {
  const fs::path path =
      write("notes.jsonl", "{\"id\": \"a\", \"text\": \"x\"}\r\n\n{\"id\": \"b\"}\n{\"id\": \"c\", \"text\": \"z\"}");

  const std::vector<ReadResult> results = read({path});

  EXPECT_THAT(ids(results), ElementsAre("a", "error: b", "c"));
  EXPECT_THAT(results[1].where, HasSubstr("notes.jsonl:3"));
  EXPECT_THAT(results[1].error, HasSubstr("text"));
  EXPECT_EQ(count_documents({path}), 3U);
}

TEST_F(ReadPathsTest, RefusesLinesAndFilesThatAreTooLarge) {
  const std::string line = "{\"id\": \"a\", \"text\": \"long\"}\n";
  write("a.jsonl", line + line.substr(0, 12) + std::string(100, ' ') + line.substr(12) + line);
  write("b.txt", std::string(100, 'x'));

  EXPECT_THAT(ids(read({root()}, {.max_file_bytes = 99, .max_line_bytes = 50})),
              ElementsAre("a", "error: ", "a", "error: b.txt"));
}

TEST_F(ReadPathsTest, ReportsABadDocumentAndReadsTheRest) {
  write("a.pdf", "not a PDF file");
  write("b.txt", "b");

  EXPECT_THAT(ids(read({root()})), ElementsAre("error: a.pdf", "b.txt"));
}

TEST_F(ReadPathsTest, ReportsADirectoryAndAFileThatMayNotBeRead) {
  if (::geteuid() == 0) {
    GTEST_SKIP() << "root may read everything";
  }
  write("locked/a.txt", "a");
  write("b.jsonl", "{}");
  fs::permissions(root() / "locked", fs::perms::none);
  fs::permissions(root() / "b.jsonl", fs::perms::none);

  EXPECT_EQ(read({root()}).size(), 2U);
  fs::permissions(root() / "locked", fs::perms::owner_all);
}

TEST_F(ReadPathsTest, StopsWhenItIsTold) {
  write("a.jsonl", "{\"id\": \"a\", \"text\": \"x\"}\n{\"id\": \"b\", \"text\": \"y\"}\n");
  write("b.txt", "b");
  std::size_t taken = 0;

  read_paths({root(), root()}, {}, [&](ReadResult&&) { return ++taken < 1; });

  EXPECT_EQ(taken, 1U);
}

TEST_F(ReadPathsTest, LetsTheTakersOwnErrorsThrough) {
  write("a.jsonl", "{\"id\": \"a\", \"text\": \"x\"}\n");

  EXPECT_THROW(read_paths({root()}, {}, [](ReadResult&&) -> bool { throw Error(ErrorCode::kBusy, "busy"); }), Error);
}

TEST_F(ReadPathsTest, ThrowsForAPathThatDoesNotExistBeforeAnythingIsRead) {
  write("a.txt", "a");
  std::size_t taken = 0;
  try {
    read_paths({root(), root() / "nowhere"}, {}, [&](ReadResult&&) { return ++taken > 0; });
    FAIL() << "took a path that does not exist";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kNotFound);
    EXPECT_THAT(error.what(), HasSubstr("nowhere"));
  }
  EXPECT_EQ(taken, 0U);
}

TEST_F(ReadPathsTest, ReadsLinesFromStandardInput) {
  const fs::path path = write("lines", "{\"id\": \"a\", \"text\": \"x\"}\nbad\n");
  const int saved = ::dup(STDIN_FILENO);
  ASSERT_NE(std::freopen(path.c_str(), "r", stdin), nullptr);

  const std::vector<ReadResult> results = read({"-"});

  ::dup2(saved, STDIN_FILENO);
  ::close(saved);
  EXPECT_THAT(ids(results), ElementsAre("a", "error: "));
  EXPECT_EQ(results[1].where, "standard input:2");
  EXPECT_EQ(count_documents({"-", root()}), 0U);
}

TEST_F(ReadPathsTest, ReadsTheSampleDocuments) {
  const std::vector<ReadResult> results = read({REFRAG_SOURCE_DIR "/tests/data/documents"});

  EXPECT_THAT(ids(results), ElementsAre("deeper/harbour.txt", "kettle.md", "lighthouse.html", "moon.txt", "mercury",
                                        "venus", "error: ", "jupiter", "saturn", "tea.pdf"));
  EXPECT_EQ(count_documents({REFRAG_SOURCE_DIR "/tests/data/documents"}), results.size());
  EXPECT_EQ(results[1].document.title, "Kettle: user's guide");
  EXPECT_EQ(
      results[2].document.text,
      "# The lighthouse at Cape Sorrow\n\nThe tower is 41 metres high and was first lit in 1887. Its keeper was "
      "\u00c9lise "
      "Marchand.\n\n## Light\n\nIt flashes twice every ten seconds.\nThe light is seen from 24 nautical miles away.\n\n"
      "## Visits\n\n- Open from May to September\n- Closed on Mondays\n\nVisitor | Price\nAdults | \u20ac6\nChildren | "
      "free\n\n"
      "    ferry 09:10\n    ferry 14:45");
}

}  // namespace
}  // namespace refrag

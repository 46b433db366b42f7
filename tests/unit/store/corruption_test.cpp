#include <gmock/gmock.h>

#include <fstream>
#include <string>
#include <vector>

#include "store/sqlite.h"
#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::HasSubstr;

class CorruptionTest : public StoreTest {
 protected:
  void SetUp() override { store(small_schema()); }

  void store(const KnowledgeBaseSchema& schema) {
    create(schema);
    kb().commit(batch_of({"moon", "sun"}));
    kb().commit(batch_of({"mars"}));
    close();  // moves the log into meta.db
  }
  /// What opening and reading everything says.
  Error error_of_reading() {
    return error_of([&] { read_everything(*KnowledgeBase::open(path())); });
  }
  void expect_corrupt(const std::filesystem::path& file) {
    const Error error = error_of_reading();
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(file.filename().string()));
  }
  void change_meta(const char* sql) {
    Connection connection(path() / "meta.db", Connection::Mode::kWrite);
    sqlite3_db_config(connection.handle(), SQLITE_DBCONFIG_DEFENSIVE, 0, nullptr);
    connection.execute(sql);
  }
  std::vector<std::filesystem::path> files() const {
    std::vector<std::filesystem::path> files;
    for (const std::string& name : segment_files()) {
      files.push_back(segments() / name);
    }
    return files;
  }
};

TEST_F(CorruptionTest, UndamagedFilesAreRead) {
  ASSERT_EQ(files().size(), 4);
  EXPECT_GT(read_everything(*KnowledgeBase::open(path())), 0);
}

TEST_F(CorruptionTest, MissingSegmentFileIsNamed) {
  for (const std::filesystem::path& file : files()) {
    const std::string content = read_file(file);
    std::filesystem::remove(file);
    expect_corrupt(file);
    write_file_atomic(file, content);
  }
}

TEST_F(CorruptionTest, SegmentFileOfAnotherLengthIsNamedAtOpening) {
  for (const std::filesystem::path& file : files()) {
    const std::string content = read_file(file);
    for (const std::string& other :
         {std::string(), content.substr(0, 1), content.substr(0, content.size() - 1), content + "x"}) {
      write_file_atomic(file, other);
      const Error error = error_of([&] { KnowledgeBase::open(path()); });
      EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
      EXPECT_THAT(error.what(), HasSubstr(file.filename().string()));
      EXPECT_THAT(error.what(), HasSubstr("meta.db expects " + std::to_string(content.size())));
    }
    write_file_atomic(file, content);
  }
}

TEST_F(CorruptionTest, EveryFlippedByteOfASegmentFileIsFound) {
  for (const std::filesystem::path& file : files()) {
    const std::string content = read_file(file);
    for (std::size_t at = 0; at < content.size(); at += 13) {
      std::string damaged = content;
      damaged[at] = static_cast<char>(damaged[at] ^ 1);
      write_file_atomic(file, damaged);
      expect_corrupt(file);
    }
    write_file_atomic(file, content);
  }
}

TEST_F(CorruptionTest, SegmentFilesThatChangedPlacesAreFound) {
  std::filesystem::rename(segments() / "000001.chunks.faiss", segments() / "x");
  std::filesystem::rename(segments() / "000002.chunks.faiss", segments() / "000001.chunks.faiss");
  std::filesystem::rename(segments() / "x", segments() / "000002.chunks.faiss");
  expect_corrupt("chunks.faiss");
}

TEST_F(CorruptionTest, DamageInOneSegmentLeavesTheOthersReadable) {
  std::string content = read_file(segments() / "000002.chunks.faiss");
  content.back() ^= 1;
  write_file_atomic(segments() / "000002.chunks.faiss", content);
  reopen();
  const Snapshot snapshot = kb().snapshot();
  EXPECT_EQ(snapshot.chunk_vectors({1, 0}).size(), 32);
  EXPECT_EQ(error_of([&] { snapshot.chunk_vectors({2, 0}); }).code(), ErrorCode::kCorrupt);
}

TEST_F(CorruptionTest, MergeOfDamagedVectorsIsRefusedAndKeepsTheFiles) {
  std::string content = read_file(segments() / "000002.chunks.faiss");
  content.back() ^= 1;
  write_file_atomic(segments() / "000002.chunks.faiss", content);
  const std::vector<std::string> before = segment_files();
  reopen();
  const Error error = error_of([&] { kb().merge(); });
  EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  EXPECT_THAT(error.what(), HasSubstr("000002.chunks.faiss"));
  EXPECT_EQ(segment_files(), before);
}

TEST_F(CorruptionTest, MissingMetadataMeansThatThereIsNoKnowledgeBase) {
  std::filesystem::remove(path() / "meta.db");
  EXPECT_EQ(error_of_reading().code(), ErrorCode::kNotFound);
}

TEST_F(CorruptionTest, MetadataOfAnotherKindIsNamed) {
  for (const std::string& other : {std::string("no database"), std::string(), std::string(8192, '\0'),
                                   read_file(path() / "meta.db").substr(0, 4096 + 100)}) {
    write_file_atomic(path() / "meta.db", other);
    expect_corrupt("meta.db");
  }
}

TEST_F(CorruptionTest, DatabaseThatIsNoKnowledgeBaseIsNamed) {
  change_meta("PRAGMA application_id = 7");
  const Error error = error_of_reading();
  EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  EXPECT_THAT(error.what(), HasSubstr("meta.db is no knowledge base"));
}

TEST_F(CorruptionTest, NewerFormatIsUnsupportedAndSaysWhichIsRead) {
  change_meta("PRAGMA user_version = 2");
  const Error error = error_of_reading();
  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(error.what(), HasSubstr("meta.db has format version 2; this program reads version 1"));
}

TEST_F(CorruptionTest, ViewOrTriggerInThePlaceOfATableIsRefused) {
  change_meta("CREATE TRIGGER t AFTER UPDATE ON state BEGIN DELETE FROM documents; END");
  expect_corrupt("meta.db");
  change_meta(
      "DROP TRIGGER t; DROP TABLE texts; CREATE VIEW texts AS WITH RECURSIVE r(document, text) AS "
      "(SELECT 1, 'x' UNION ALL SELECT document + 1, text FROM r) SELECT * FROM r");
  expect_corrupt("meta.db");
}

TEST_F(CorruptionTest, FilesThatDoNotFitTheSchemaAreNamed) {
  change_meta("UPDATE properties SET value = replace(value, '\"chunk_width\":8', '\"chunk_width\":9')");
  expect_corrupt("chunks.faiss");
  change_meta("UPDATE properties SET value = replace(value, '\"passage_width\":6', '\"passage_width\":7')");
  expect_corrupt("passages.faiss");
}

TEST_F(CorruptionTest, PassageFileOfAnotherKindThanItsRowSaysIsNamed) {
  change_meta("UPDATE segments SET passage_index = 'inverted'");
  expect_corrupt("passages.faiss");
}

/// Statements that leave a database in order, but not one of ours.
class WrongRowsTest : public CorruptionTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(WrongRowsTest, AreCorrupt) {
  change_meta(GetParam());
  expect_corrupt("meta.db");
}

INSTANTIATE_TEST_SUITE_P(
    EachTable, WrongRowsTest,
    ::testing::Values("DELETE FROM state", "UPDATE state SET generation = -1",
                      "UPDATE state SET next_passage = 9223372036854775807", "UPDATE state SET purged = generation + 1",
                      "DELETE FROM properties", "UPDATE properties SET value = '{}'",
                      "UPDATE properties SET value = '['",
                      "UPDATE properties SET value = replace(value, 'fp16', 'fp8')",
                      "UPDATE properties SET value = replace(value, '\"chunk_width\":8', '\"chunk_width\":-8')",
                      "UPDATE properties SET value = replace(value, '\"chunk_width\":8', '\"chunk_width\":0')",

                      "UPDATE segments SET passages_bytes = -1", "UPDATE segments SET chunks_bytes = 0",
                      "UPDATE segments SET passages_sha256 = ''", "UPDATE segments SET rows = x'ff'",
                      "UPDATE segments SET rows = x''", "UPDATE segments SET rows = x'0101ff7f' WHERE number = 2",
                      "UPDATE segments SET passage_index = 'graph'", "UPDATE passages SET chunks = x'00'",
                      "UPDATE passages SET chunks = x'ffffffffff'", "UPDATE passages SET start = 9, end = 3",
                      "UPDATE passages SET start = -1", "DELETE FROM passages", "UPDATE documents SET metadata = 'x'",
                      "UPDATE documents SET metadata = '{\"a\":[]}'", "UPDATE documents SET first_passage = -5",
                      "UPDATE documents SET passages = 9223372036854775807",
                      "UPDATE documents SET died = 1, first_passage = 9223372036854775807"));

}  // namespace
}  // namespace refrag::testing

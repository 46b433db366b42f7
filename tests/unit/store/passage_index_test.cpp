#include "store/passage_index.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/files.h"
#include "base/hash.h"
#include "support/errors.h"

namespace refrag::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kWidth = 8;
constexpr std::size_t kRows = 3000;

std::vector<float> many_vectors() {
  std::mt19937 random(5);
  std::vector<float> vectors(kRows * kWidth);
  for (float& value : vectors) {
    value = static_cast<float>(random() % 2001) / 1000.0F - 1.0F;
  }
  return vectors;
}

class PassageIndexTest : public ::testing::TestWithParam<PassageIndexKind> {
 protected:
  std::filesystem::path path() const { return directory_.path() / "x.passages.faiss"; }

  FileRecord write() {
    SegmentFileWriter file(path());
    write_passage_index(file, GetParam(), vectors_, kWidth);
    FileRecord record = file.finish();
    file.rename_to_final();
    file.keep();
    return record;
  }
  PassageIndex open(const FileRecord& record, std::size_t rows = kRows, std::size_t width = kWidth) {
    return {std::make_shared<const SegmentFile>(path(), record), GetParam(), width, rows};
  }
  std::span<const float> row(std::size_t number) const { return std::span(vectors_).subspan(number * kWidth, kWidth); }

  std::vector<float> vectors_ = many_vectors();

 private:
  TemporaryDirectory directory_;
};

TEST_P(PassageIndexTest, FindsTheBestOfAllRows) {
  const PassageIndex index = open(write());
  int hits = 0;
  for (std::size_t query = 0; query < 100; ++query) {
    std::vector<float> scores(kRows);
    for (std::size_t i = 0; i < kRows; ++i) {
      scores[i] = std::inner_product(row(query).begin(), row(query).end(), row(i).begin(), 0.0F);
    }
    const auto best = static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
    const auto found = index.search(row(query), 1, RowSet::all(kRows));
    ASSERT_EQ(found.size(), 1);
    hits += found[0].second == best ? 1 : 0;
  }
  // An inverted index looks into some of its lists only; these vectors, spread evenly, are the worst case for it.
  EXPECT_GE(hits, GetParam() == PassageIndexKind::kFlat ? 100 : 85);
}

TEST_P(PassageIndexTest, FindsAllowedRowsOnlyHoweverFew) {
  const PassageIndex index = open(write());
  RowSet allowed(kRows);
  for (const std::size_t one : {7, 1234, 2999}) {
    allowed.insert(one);
  }
  const auto found = index.search(row(0), 10, allowed);
  std::vector<std::size_t> rows;
  for (const auto& [score, number] : found) {
    rows.push_back(number);
    EXPECT_NEAR(score, std::inner_product(row(0).begin(), row(0).end(), row(number).begin(), 0.0F), 1e-5);
  }
  EXPECT_THAT(rows, ::testing::UnorderedElementsAre(7, 1234, 2999));
  EXPECT_TRUE(index.search(row(0), 10, RowSet(kRows)).empty());
}

TEST_P(PassageIndexTest, GivesVectorsBack) {
  const PassageIndex index = open(write());
  for (const std::size_t number : {std::size_t{0}, std::size_t{1500}, kRows - 1}) {
    EXPECT_TRUE(std::ranges::equal(index.vector(number), row(number)));
  }
}

TEST_P(PassageIndexTest, StaysReadableAfterItsFileIsRemoved) {
  const PassageIndex index = open(write());
  std::filesystem::remove(path());
  EXPECT_EQ(index.search(row(5), 3, RowSet::all(kRows)).size(), 3);
  EXPECT_TRUE(std::ranges::equal(index.vector(5), row(5)));
}

TEST_P(PassageIndexTest, FileOfOtherRowsWidthOrKindIsRefused) {
  const FileRecord record = write();
  const auto other = GetParam() == PassageIndexKind::kFlat ? PassageIndexKind::kInverted : PassageIndexKind::kFlat;
  EXPECT_EQ(error_of([&] { open(record, kRows + 1); }).code(), ErrorCode::kCorrupt);
  EXPECT_EQ(error_of([&] { open(record, kRows, kWidth / 2); }).code(), ErrorCode::kCorrupt);
  const Error error =
      error_of([&] { PassageIndex(std::make_shared<const SegmentFile>(path(), record), other, kWidth, kRows); });
  EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  EXPECT_THAT(error.what(), HasSubstr(path().string()));
}

TEST_P(PassageIndexTest, FlippedByteIsFoundBeforeFaissReadsTheFile) {
  const FileRecord record = write();
  const std::string content = read_file(path());
  for (std::size_t at = 0; at < content.size(); at += 997) {
    std::string damaged = content;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    write_file_atomic(path(), damaged);
    const Error error = error_of([&] { open(record); });
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    EXPECT_THAT(error.what(), HasSubstr("SHA-256"));
  }
}

TEST_P(PassageIndexTest, VectorsThatAreAllTheSameAreFoundToo) {
  for (std::size_t i = 0; i < vectors_.size(); ++i) {  // most lists of the inverted index stay empty
    vectors_[i] = i % kWidth == 0 ? 1.0F : 0.0F;
  }
  const PassageIndex index = open(write());
  EXPECT_EQ(index.search(row(0), 50, RowSet::all(kRows)).size(), 50);
  EXPECT_TRUE(std::ranges::equal(index.vector(kRows - 1), row(0)));
}

TEST_P(PassageIndexTest, ConcurrentSearchesFindTheSame) {
  const PassageIndex index = open(write());
  const auto expected = index.search(row(3), 5, RowSet::all(kRows));
  std::atomic<int> different = 0;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        different += index.search(row(3), 5, RowSet::all(kRows)) == expected ? 0 : 1;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(different, 0);
}

INSTANTIATE_TEST_SUITE_P(EachKind, PassageIndexTest,
                         ::testing::Values(PassageIndexKind::kFlat, PassageIndexKind::kInverted),
                         [](const auto& info) { return info.param == PassageIndexKind::kFlat ? "flat" : "inverted"; });

}  // namespace
}  // namespace refrag::testing

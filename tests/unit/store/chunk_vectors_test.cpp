#include "store/chunk_vectors.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/hash.h"
#include "support/errors.h"
#include "unit/store/store_fixture.h"

namespace refrag::testing {
namespace {

using ::testing::HasSubstr;

constexpr std::size_t kWidth = 12;
constexpr std::size_t kRows = 1000;

std::vector<float> many_vectors() {
  std::vector<float> vectors;
  for (std::size_t row = 0; row < kRows; ++row) {
    for (const float value : vector_of(std::to_string(row), kWidth)) {
      vectors.push_back(3 * value);
    }
  }
  return vectors;
}

class ChunkVectorsTest : public ::testing::TestWithParam<VectorFormat> {
 protected:
  std::filesystem::path path() const { return directory_.path() / "x.chunks.faiss"; }

  FileRecord write(const std::vector<float>& vectors, VectorFormat format) {
    ChunkCodec codec{kWidth, format, {}};
    if (format == VectorFormat::kInt8) {
      RangeFinder ranges(kWidth);
      ranges.add(vectors);
      codec.ranges = ranges.ranges();
    }
    SegmentFileWriter file(path());
    ChunkVectorsWriter(file, codec, vectors.size() / kWidth).append(vectors);
    FileRecord record = file.finish();
    file.rename_to_final();
    file.keep();
    return record;
  }
  ChunkVectors open(const FileRecord& record, VectorFormat format, std::size_t rows = kRows) {
    return {std::make_shared<const SegmentFile>(path(), record), kWidth, format, rows};
  }
  /// Puts other bytes in the file's place, with checksums that fit them.
  FileRecord replace(const std::string& content) {
    write_file_atomic(path(), content);
    FileRecord record;
    record.bytes = content.size();
    for (std::size_t start = 0; start < content.size(); start += FileRecord::kBlockBytes) {
      record.hashes += sha256_hex(std::string_view(content).substr(start, FileRecord::kBlockBytes));
    }
    return record;
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(ChunkVectorsTest, Fp16KeepsElevenBitsOfEachValue) {
  const std::vector<float> vectors = many_vectors();
  const std::vector<float> decoded = open(write(vectors, VectorFormat::kFp16), VectorFormat::kFp16).decode(0, kRows);
  ASSERT_EQ(decoded.size(), vectors.size());
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    // Half a unit in the last of 11 significant bits; below 2^-14 the step stays 2^-24.
    EXPECT_NEAR(decoded[i], vectors[i], std::max(std::abs(vectors[i]) / 2048, 0x1p-24F));
  }
}

TEST_F(ChunkVectorsTest, Int8IsOffByAtMostHalfAStepOfTheRangeOfItsDimension) {
  const std::vector<float> vectors = many_vectors();
  const ChunkVectors stored = open(write(vectors, VectorFormat::kInt8), VectorFormat::kInt8);
  const std::vector<float> decoded = stored.decode(0, kRows);
  double worst = 0;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    const float range = stored.codec().ranges[kWidth + i % kWidth];
    EXPECT_NEAR(decoded[i], vectors[i], range / 510 + 1e-6);
    worst = std::max<double>(worst, std::abs(decoded[i] - vectors[i]) / range);
  }
  EXPECT_GT(worst, 1.0 / 600);  // the bound is tight: nothing finer is stored
}

TEST_F(ChunkVectorsTest, Int8KeepsADimensionThatIsAlwaysTheSameExactly) {
  std::vector<float> vectors = many_vectors();
  for (std::size_t row = 0; row < kRows; ++row) {
    vectors[row * kWidth + 3] = 0.7F;
  }
  const std::vector<float> decoded = open(write(vectors, VectorFormat::kInt8), VectorFormat::kInt8).decode(17, 1);
  EXPECT_EQ(decoded[3], 0.7F);
}

TEST_P(ChunkVectorsTest, AnyRowsDecodeAsTheyDoTogether) {
  const ChunkVectors stored = open(write(many_vectors(), GetParam()), GetParam());
  const std::vector<float> all = stored.decode(0, kRows);
  for (const auto& [first, rows] : {std::pair<std::size_t, std::size_t>{0, 1}, {3, 5}, {999, 1}, {500, 0}, {1000, 0}}) {
    const std::vector<float> some = stored.decode(first, rows);
    EXPECT_TRUE(std::equal(some.begin(), some.end(), all.begin() + static_cast<std::ptrdiff_t>(first * kWidth)));
    EXPECT_EQ(some.size(), rows * kWidth);
  }
  EXPECT_EQ(error_of([&] { stored.decode(998, 3); }).code(), ErrorCode::kInternal);
  EXPECT_EQ(error_of([&] { stored.decode(1001, 0); }).code(), ErrorCode::kInternal);
}

TEST_P(ChunkVectorsTest, CodesWrittenAgainGiveTheSameFile) {
  const FileRecord record = write(many_vectors(), GetParam());
  const std::string before = read_file(path());
  const ChunkVectors stored = open(record, GetParam());
  SegmentFileWriter file(path().string() + "2");
  ChunkVectorsWriter writer(file, stored.codec(), kRows);
  writer.append_codes(stored.codes(0, 400));
  writer.append(stored.decode(400, 600));  // a decoded value is in the middle of its step, so it is coded as it was
  EXPECT_EQ(file.finish().hashes, record.hashes);
}

TEST_P(ChunkVectorsTest, HeaderThatSaysAnythingElseIsRefused) {
  const FileRecord record = write(many_vectors(), GetParam());
  const std::string content = read_file(path());
  const std::size_t code_bytes = GetParam() == VectorFormat::kFp16 ? 2 * kWidth : kWidth;
  const std::size_t header = content.size() - kRows * code_bytes;
  const std::size_t trained = GetParam() == VectorFormat::kFp16 ? 0 : 2 * kWidth * sizeof(float);
  for (std::size_t i = 0; i < header; ++i) {
    if (i >= header - 8 - trained && i < header - 8) {
      continue;  // ranges may be any finite numbers
    }
    std::string damaged = content;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x41);
    const Error error = error_of([&] { open(replace(damaged), GetParam()); });
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << i;
    EXPECT_THAT(error.what(), HasSubstr(path().string()));
  }
}

TEST_P(ChunkVectorsTest, FileOfOtherRowsWidthOrFormatIsRefused) {
  const FileRecord record = write(many_vectors(), GetParam());
  const VectorFormat other = GetParam() == VectorFormat::kFp16 ? VectorFormat::kInt8 : VectorFormat::kFp16;
  EXPECT_EQ(error_of([&] { open(record, GetParam(), kRows - 1); }).code(), ErrorCode::kCorrupt);
  EXPECT_EQ(error_of([&] { open(record, other); }).code(), ErrorCode::kCorrupt);
  const auto file = std::make_shared<const SegmentFile>(path(), record);
  EXPECT_EQ(error_of([&] { ChunkVectors(file, kWidth / 2, GetParam(), 2 * kRows); }).code(), ErrorCode::kCorrupt);
}

TEST_F(ChunkVectorsTest, RangesThatAreNotFiniteAreRefused) {
  write(many_vectors(), VectorFormat::kInt8);
  std::string content = read_file(path());
  const std::size_t ranges = content.size() - kRows * kWidth - 8 - 2 * kWidth * sizeof(float);
  const float nan = std::nanf("");
  std::memcpy(content.data() + ranges, &nan, sizeof nan);
  EXPECT_EQ(error_of([&] { open(replace(content), VectorFormat::kInt8); }).code(), ErrorCode::kCorrupt);
}

INSTANTIATE_TEST_SUITE_P(EachFormat, ChunkVectorsTest, ::testing::Values(VectorFormat::kFp16, VectorFormat::kInt8),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST(CommonRangesTest, HoldBothAndStayExactWhereOneHoldsTheOther) {
  //                                 least           size
  const std::vector<float> a = {0.1F, 0.0F, 0.5F, 0.3F, 1.0F, 0.1F};
  const std::vector<float> b = {0.2F, -1.0F, 0.0F, 0.1F, 3.0F, 0.1F};
  EXPECT_THAT(common_ranges(a, b), ::testing::ElementsAre(0.1F, -1.0F, 0.0F, 0.3F, 3.0F, ::testing::FloatEq(0.6F)));
  EXPECT_EQ(common_ranges(a, a), a);
}

}  // namespace
}  // namespace refrag::testing

#include "store/record_codec.h"

#include <gmock/gmock.h>

#include <limits>
#include <string>
#include <vector>

#include "support/errors.h"

namespace refrag::testing {
namespace {

using ::testing::HasSubstr;

std::vector<ChunkRecord> some_chunks() {
  return {{{1, 2, 3}, 100, 110}, {{std::numeric_limits<TokenId>::max()}, 111, 111}, {{0}, 90, 1000}};
}

TEST(RecordCodecTest, ChunksComeBack) {
  const std::vector<ChunkRecord> chunks = decode_chunks(encode_chunks(some_chunks(), 105), 105, "x");
  ASSERT_EQ(chunks.size(), 3);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(chunks[i].ids, some_chunks()[i].ids);
    EXPECT_EQ(chunks[i].start, some_chunks()[i].start);
    EXPECT_EQ(chunks[i].end, some_chunks()[i].end);
  }
}

TEST(RecordCodecTest, RowsComeBack) {
  SegmentRows rows;
  rows.add(3, 2);
  rows.add(4, 0);
  rows.add(1'000'000'000'000, 70'000);
  const SegmentRows decoded = decode_rows(encode_rows(rows), "x");
  EXPECT_EQ(decoded.passages, rows.passages);
  EXPECT_EQ(decoded.first_chunk, rows.first_chunk);
}

TEST(RecordCodecTest, EveryBlobCutShortIsCorruptAndNamed) {
  const std::string chunks = encode_chunks(some_chunks(), 105);
  SegmentRows few;
  few.add(300, 2);
  few.add(301, 1);
  const std::string rows = encode_rows(few);
  for (std::size_t size = 0; size < chunks.size(); ++size) {
    const Error error =
        error_of([&] { decode_chunks(std::string_view(chunks).substr(0, size), 105, "meta.db: passage 7"); });
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    EXPECT_THAT(error.what(), HasSubstr("meta.db: passage 7"));
  }
  for (std::size_t size = 0; size < rows.size(); ++size) {
    EXPECT_EQ(error_of([&] { decode_rows(std::string_view(rows).substr(0, size), "x"); }).code(), ErrorCode::kCorrupt);
  }
  EXPECT_EQ(error_of([&] { decode_rows(rows + '\0', "x"); }).code(), ErrorCode::kCorrupt);
}

TEST(RecordCodecTest, CountsBeyondTheBlobTakeNoMemory) {
  const std::string huge = "\xff\xff\xff\xff\xff\xff\xff\x7f";
  EXPECT_EQ(error_of([&] { decode_rows(huge, "x"); }).code(), ErrorCode::kCorrupt);
  EXPECT_EQ(error_of([&] { decode_chunks(huge, 0, "x"); }).code(), ErrorCode::kCorrupt);
  EXPECT_EQ(error_of([&] { decode_rows(std::string(100, '\xff'), "x"); }).code(), ErrorCode::kCorrupt);
}

TEST(RecordCodecTest, PassageNumbersThatDoNotAscendAreCorrupt) {
  EXPECT_THAT(error_of([] { decode_rows(std::string("\x02\x05\x01\x00\x01", 5), "x"); }).what(),
              HasSubstr("do not ascend"));
}

TEST(RecordCodecTest, MetadataComesBackWithItsTypes) {
  const Metadata metadata = {{"a", "1"},  {"b", std::int64_t{-1}}, {"c", 1.0},
                             {"d", true}, {"", "\"\\\n\u00e9"},    {"e", std::numeric_limits<std::int64_t>::min()}};
  EXPECT_EQ(decode_metadata(encode_metadata(metadata), "x"), metadata);
}

TEST(RecordCodecTest, MetadataThatIsNoFlatObjectIsCorrupt) {
  for (const char* wrong : {"", "1", "[]", "{\"a\":", "{\"a\":[]}", "{\"a\":null}", "{\"a\":{}}"}) {
    EXPECT_EQ(error_of([&] { decode_metadata(wrong, "x"); }).code(), ErrorCode::kCorrupt) << wrong;
  }
}

}  // namespace
}  // namespace refrag::testing

#include "train/token_shards.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "base/files.h"
#include "refrag/error.h"
#include "support/piece_tokenizer.h"
#include "train/text_data.h"

namespace refrag::train {
namespace {

std::vector<TokenId> as_vector(std::span<const TokenId> record) { return {record.begin(), record.end()}; }

TEST(TokenShardsTest, RecordsComeBackAcrossShards) {
  const TemporaryDirectory directory;
  std::vector<std::vector<TokenId>> records = {{1, 2, 3}, {}, {4}, {5, 6, 7, 8, 9, 10}, {11, 12}};
  ShardWriter writer(directory.path(), /*numbers_a_shard=*/4);
  for (const auto& record : records) writer.add(record);
  writer.finish({{"made", "here"}});

  const TokenShards shards(directory.path());

  ASSERT_EQ(shards.size(), records.size());
  EXPECT_EQ(shards.numbers(), 12U);
  for (std::uint64_t n = 0; n < shards.size(); ++n) EXPECT_EQ(as_vector(shards.record(n)), records[n]);
  EXPECT_TRUE(std::filesystem::exists(directory.path() / "00001.bin"));
}

TEST(TokenShardsTest, ACutFileIsRefusedByName) {
  const TemporaryDirectory directory;
  ShardWriter writer(directory.path());
  writer.add(std::vector<TokenId>{1, 2, 3});
  writer.finish(Json::object());
  std::filesystem::resize_file(directory.path() / "00000.bin", 8);
  try {
    const TokenShards shards(directory.path());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
    EXPECT_NE(std::string(error.what()).find("00000.bin"), std::string::npos);
  }
}

TEST(TokenShardsTest, ACacheIsFilledOnceAContent) {
  const TemporaryDirectory cache;
  int filled = 0;
  const auto fill = [&](ShardWriter& writer) {
    ++filled;
    writer.add(std::vector<TokenId>{filled});
    return Json::object();
  };
  TokenShards::cached(cache.path(), {{"content", "a"}}, fill);
  TokenShards::cached(cache.path(), {{"content", "a"}}, fill);
  const TokenShards other = TokenShards::cached(cache.path(), {{"content", "b"}}, fill);
  EXPECT_EQ(filled, 2);
  EXPECT_EQ(as_vector(other.record(0)), std::vector<TokenId>{2});
}

TextData text_of(const TemporaryDirectory& directory, const std::vector<std::vector<TokenId>>& documents, bool join) {
  ShardWriter writer(directory.path());
  for (const auto& document : documents) writer.add(document);
  writer.finish(Json::object());
  return {TokenShards(directory.path()), join, TokenId{99}};
}

TEST(TextDataTest, WindowsStayWithinADocument) {
  const TemporaryDirectory directory;
  const TextData data = text_of(directory, {{1, 2, 3, 4, 5}, {6}}, false);
  Draw draw({1});
  for (int n = 0; n < 50; ++n) {
    const std::vector<TokenId> window = data.window(0, 3, draw);
    ASSERT_EQ(window.size(), 3U);
    EXPECT_EQ(window[2], window[0] + 2);
  }
  EXPECT_EQ(data.window(1, 3, draw), std::vector<TokenId>{6});
}

TEST(TextDataTest, JoinedDocumentsHaveTheirEndBetweenThem) {
  const TemporaryDirectory directory;
  const TextData data = text_of(directory, {{1}, {2, 3}}, true);
  Draw draw({1});
  EXPECT_EQ(data.window(0, 6, draw), (std::vector<TokenId>{1, 99, 2, 3, 99, 1}));
}

TEST(TextDataTest, APassShowsEveryDocumentAndTheNextOneInAnotherOrder) {
  const TemporaryDirectory directory;
  std::vector<std::vector<TokenId>> documents;
  documents.reserve(50);
  for (TokenId n = 0; n < 50; ++n) {
    documents.push_back({n});
  }
  const TextData data = text_of(directory, documents, false);
  std::vector<std::uint64_t> first, second;
  for (std::uint64_t n = 0; n < 50; ++n) {
    first.push_back(data.shuffled_document(n, 3));
    second.push_back(data.shuffled_document(50 + n, 3));
  }
  EXPECT_NE(first, second);
  std::sort(first.begin(), first.end());
  std::sort(second.begin(), second.end());
  EXPECT_EQ(first, second);
  EXPECT_EQ(first.back(), 49U);
}

}  // namespace
}  // namespace refrag::train

#include "text/prefix_trie.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

std::vector<std::pair<std::size_t, std::int32_t>> prefixes(const PrefixTrie& trie, const std::string& text) {
  std::vector<std::pair<std::size_t, std::int32_t>> found;
  trie.for_each_prefix(text, [&found](std::size_t length, std::int32_t number) { found.emplace_back(length, number); });
  return found;
}

TEST(PrefixTrieTest, KeysThatATextBeginsWithComeShortestFirst) {
  const PrefixTrie trie({{"a", 1}, {"abc", 2}, {"ab", 3}, {"b", 4}, {"\xFF", 5}});
  EXPECT_THAT(prefixes(trie, "abcd"), ElementsAre(Pair(1, 1), Pair(2, 3), Pair(3, 2)));
  EXPECT_THAT(prefixes(trie, "\xFF"), ElementsAre(Pair(1, 5)));
  EXPECT_THAT(prefixes(trie, "ca"), IsEmpty());
  EXPECT_THAT(prefixes(trie, ""), IsEmpty());
}

TEST(PrefixTrieTest, OfEqualKeysTheLastCountsAndEmptyOnesDoNot) {
  EXPECT_THAT(prefixes(PrefixTrie({{"a", 1}, {"", 7}, {"a", 2}}), "a"), ElementsAre(Pair(1, 2)));
  EXPECT_TRUE(PrefixTrie({{"", 1}}).empty());
}

TEST(PrefixTrieTest, LongKeysNeedNoDeepRecursion) {
  const std::string key(1'000'000, 'x');
  EXPECT_THAT(prefixes(PrefixTrie({{key, 1}}), key), ElementsAre(Pair(key.size(), 1)));
}

}  // namespace
}  // namespace refrag

#include "text/word_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

namespace refrag {
namespace {

TEST(WordCacheTest, StoredWordsAreFound) {
  WordCache cache;
  const std::vector<WordToken> tokens = {{7, 0, 1}, {8, 1, 3}};
  cache.store("abc", tokens.data(), tokens.data() + tokens.size());
  std::vector<WordToken> found = {{1, 0, 0}};
  EXPECT_TRUE(cache.find("abc", found));
  EXPECT_THAT(found, ::testing::ElementsAre(WordToken{1, 0, 0}, tokens[0], tokens[1]));
  EXPECT_FALSE(cache.find("ab", found));
}

TEST(WordCacheTest, LongWordsAreNotKept) {
  WordCache cache;
  const std::string word(1000, 'a');
  const WordToken token{1, 0, 1000};
  cache.store(word, &token, &token + 1);
  std::vector<WordToken> found;
  EXPECT_FALSE(cache.find(word, found));
}

TEST(WordCacheTest, ManyThreadsShareIt) {
  WordCache cache;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&cache] {
      for (int i = 0; i < 20'000; ++i) {
        const std::string word = std::to_string(i % 5000);
        std::vector<WordToken> found;
        if (cache.find(word, found)) {
          EXPECT_EQ(found.front().id, i % 5000);
        } else {
          const WordToken token{i % 5000, 0, 1};
          cache.store(word, &token, &token + 1);
        }
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace
}  // namespace refrag

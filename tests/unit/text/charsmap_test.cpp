#include "text/charsmap.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "refrag/error.h"

namespace refrag {
namespace {

constexpr std::uint32_t kLeaf = 1U << 8;
constexpr std::uint32_t kValue = 1U << 31;

std::uint32_t unit(std::uint32_t offset, std::uint32_t label, bool has_leaf = false) {
  return offset << 10 | label | (has_leaf ? kLeaf : 0);
}

/// "a" -> "x", "ab" -> "yz" by a double array laid out by hand: node = parent's node ^ offset ^ label.
std::vector<std::uint32_t> small_trie() {
  std::vector<std::uint32_t> units(1024);
  units[0] = unit(256, 0);            // the root: children at 256 ^ label
  units[256 ^ 'a'] = unit(0, 'a');    // set below, once its children's place is known
  const std::uint32_t a = 256 ^ 'a';  // children at 512 ^ label
  units[a] = unit(a ^ 512, 'a', true);
  units[512] = kValue | 0;             // "a": the replacement at 0
  const std::uint32_t ab = 512 ^ 'b';  // children at 768 ^ label
  units[ab] = unit(ab ^ 768, 'b', true);
  units[768] = kValue | 2;  // "ab": the replacement at 2
  return units;
}

std::string blob(const std::vector<std::uint32_t>& units, const std::string& replacements) {
  std::string out;
  const auto add = [&out](std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) {
      out += static_cast<char>(value >> shift & 0xFF);
    }
  };
  add(static_cast<std::uint32_t>(units.size() * 4));
  for (const std::uint32_t value : units) {
    add(value);
  }
  return out + replacements;
}

const std::string kReplacements("x\0yz\0", 5);

TEST(CharsMapTest, TheShortestAndTheLongestRuleAreFound) {
  const CharsMap rules(blob(small_trie(), kReplacements), "test");
  EXPECT_EQ(rules.shortest_rule("abc"), "x");
  ASSERT_TRUE(rules.longest_rule("abc"));
  EXPECT_EQ(rules.longest_rule("abc")->length, 2U);
  EXPECT_EQ(rules.longest_rule("abc")->replacement, "yz");
  EXPECT_FALSE(rules.shortest_rule("ba"));
  EXPECT_FALSE(rules.longest_rule(""));
}

TEST(CharsMapTest, HostileTriesAreRefused) {
  const auto refuses = [](const std::vector<std::uint32_t>& units, const std::string& replacements) {
    EXPECT_THROW(CharsMap(blob(units, replacements), "test"), Error);
  };
  std::vector<std::uint32_t> outside = small_trie();
  outside[0] = unit(4096, 0);
  refuses(outside, kReplacements);
  std::vector<std::uint32_t> circle = small_trie();
  const std::uint32_t a = 256 ^ 'a';
  circle[a] = unit(a ^ 256, 'a');  // its children are the root's: "a" leads back to itself
  refuses(circle, kReplacements);
  std::vector<std::uint32_t> far = small_trie();
  far[768] = kValue | 100;
  refuses(far, kReplacements);
  refuses(small_trie(), "xyz");        // not ended
  refuses(small_trie(), "x\xFFyz\0");  // not UTF-8
  EXPECT_THROW(CharsMap("", "test"), Error);
  EXPECT_THROW(CharsMap(std::string("\xFF\xFF\xFF\xFF", 4), "test"), Error);
}

}  // namespace
}  // namespace refrag

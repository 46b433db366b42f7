#include "engine/mixed_input.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "refrag/error.h"

namespace refrag {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

Entry token(TokenId id) { return {id, -1}; }
Entry row(std::int32_t n) { return {Entry::kVector, n}; }

void add(MixedInput& input, const std::vector<TokenId>& tokens) { input.add_tokens(tokens); }

/// 1, chunk (10 11), chunk (12), 2, chunk (20 21 22), 3: the first two of passage 0, the third of passage 1.
MixedInput example(bool expanded) {
  MixedInput input;
  add(input, {1});
  input.add_chunk(0, {10, 11}, expanded);
  input.add_chunk(0, {12}, expanded);
  add(input, {2});
  input.add_chunk(1, {20, 21, 22}, expanded);
  add(input, {3});
  return input;
}

TEST(MixedInputTest, ACompressedChunkIsOneEntry) {
  const MixedInput input = example(false);
  EXPECT_THAT(input.entries(), ElementsAre(token(1), row(0), row(1), token(2), row(2), token(3)));
  EXPECT_EQ(input.chunk_position(2), 4u);
  EXPECT_EQ(input.ref(1), (ChunkRef{0, 1}));
  EXPECT_EQ(input.ref(2), (ChunkRef{1, 0}));
  EXPECT_THAT(input.token_ids(), ElementsAre(1, 2, 3));
}

TEST(MixedInputTest, ExpandingPutsTheTokensInPlaceAndTellsWhereTheChangeBegins) {
  MixedInput input = example(false);
  EXPECT_EQ(input.growth(2), 2u);
  EXPECT_EQ(input.expand(2), 4u);
  EXPECT_EQ(input.expand(0), 1u);
  EXPECT_THAT(input.entries(),
              ElementsAre(token(1), token(10), token(11), row(1), token(2), token(20), token(21), token(22), token(3)));
  EXPECT_EQ(input.chunk_position(1), 3u);
  EXPECT_EQ(input.chunk_position(2), 5u);
  EXPECT_EQ(input.growth(2), 0u);
}

TEST(MixedInputTest, ExpandedOneByOneInAnyOrderItEqualsTheInputOfTokensAlone) {
  const MixedInput full = example(true);
  std::vector<std::size_t> order = {0, 1, 2};
  do {
    MixedInput input = example(false);
    for (const std::size_t chunk : order) input.expand(chunk);
    EXPECT_THAT(input.entries(), ElementsAreArray(full.entries()));
    for (std::size_t chunk = 0; chunk < 3; ++chunk) EXPECT_EQ(input.chunk_position(chunk), full.chunk_position(chunk));
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(MixedInputTest, TokensAddedLaterStandBehindWhatIsExpanded) {
  MixedInput input = example(false);
  add(input, {7});
  input.expand(2);
  EXPECT_EQ(input.entries().back(), token(7));
  EXPECT_EQ(input.length(), 9u);
}

TEST(MixedInputTest, AChunkIsExpandedOnce) {
  MixedInput input = example(false);
  input.expand(0);
  EXPECT_THROW(input.expand(0), Error);
  EXPECT_THROW(input.add_chunk(2, {}, true), Error);
}

}  // namespace
}  // namespace refrag

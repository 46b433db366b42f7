#include "cli/passage_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace refrag::cli {
namespace {

using ::testing::HasSubstr;

Hit hit() {
  Hit hit;
  hit.document_id = "d";
  hit.passage_id = "d#1";
  hit.title = "Title";
  hit.text = "né one two";
  hit.start = 100;
  hit.end = 110;
  hit.score = 0.5;
  hit.lexical = RankedScore{.score = 3, .rank = 2};
  hit.chunks = {{100, 103, ChunkState::kCompressed, -1.5, "rank 2 of 2, budget 1"},
                {103, 110, ChunkState::kExpanded, 2.5, "rank 1 of 2, budget 1"}};
  return hit;
}

std::string shown(bool colors, bool why) {
  std::ostringstream out;
  print_passages(out, Terminal{.colors = colors, .width = 80}, {hit()}, why);
  return out.str();
}

TEST(PassageViewTest, PlainOutputBracketsWhatWasExpanded) {
  EXPECT_EQ(shown(false, false), "[1] d#1 (100-110) Title  score 0.5, lexical rank 2\nné [one two]\n");
}

TEST(PassageViewTest, ATerminalDimsVectorsAndBrightensWords) {
  EXPECT_THAT(shown(true, false), HasSubstr("\033[2mné \033[0m\033[1;93mone two\033[0m"));
}

TEST(PassageViewTest, WhyTellsEveryChunk) {
  EXPECT_THAT(shown(false, true), HasSubstr("chunk 1 (103-110) expanded, score 2.5: rank 1 of 2, budget 1"));
}

}  // namespace
}  // namespace refrag::cli

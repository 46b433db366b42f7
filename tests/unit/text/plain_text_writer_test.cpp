#include "text/plain_text_writer.h"

#include <gtest/gtest.h>

namespace refrag {
namespace {

TEST(PlainTextWriterTest, FoldsWhiteSpaceAcrossPieces) {
  PlainTextWriter writer;
  writer.text("  one \n\t two");
  writer.text("\u00a0three ");
  writer.text(" four ");

  EXPECT_EQ(writer.finish(), "one two three four");
}

TEST(PlainTextWriterTest, DropsSoftHyphensSoThatWordsAreFound) {
  PlainTextWriter writer;
  writer.text("light\u00adhouse\u200b \u00a9 \u200d");

  EXPECT_EQ(writer.finish(), "lighthouse \u00a9 \u200d");
}

TEST(PlainTextWriterTest, PutsOneBlankLineBetweenBlocks) {
  PlainTextWriter writer;
  writer.end_block();
  writer.text("one");
  writer.end_block();
  writer.end_line();
  writer.end_block();
  writer.text("two");
  writer.end_block();

  EXPECT_EQ(writer.finish(), "one\n\ntwo");
}

TEST(PlainTextWriterTest, KeepsAHeadingOnOneLine) {
  PlainTextWriter writer;
  writer.begin_heading(2);
  writer.text("Light");
  writer.end_block();
  writer.text("and sea");
  writer.end_heading();
  writer.text("text");

  EXPECT_EQ(writer.finish(), "## Light and sea\n\ntext");
}

TEST(PlainTextWriterTest, LeavesNothingOfAnEmptyHeading) {
  PlainTextWriter writer;
  writer.begin_heading(1);
  writer.text("  ");
  writer.end_heading();
  writer.text("text");

  EXPECT_EQ(writer.finish(), "text");
}

TEST(PlainTextWriterTest, IndentsNestedItems) {
  PlainTextWriter writer;
  writer.begin_list();
  writer.begin_item("1. ");
  writer.text("outer");
  writer.begin_list();
  writer.begin_item("- ");
  writer.text("inner");
  writer.end_list();
  writer.begin_item("2. ");
  writer.text("next");
  writer.end_list();
  writer.text("after");

  EXPECT_EQ(writer.finish(), "1. outer\n  - inner\n2. next\n\nafter");
}

TEST(PlainTextWriterTest, IndentsCodeLinesAndKeepsTheirSpaces) {
  PlainTextWriter writer;
  writer.text("see");
  writer.begin_code();
  writer.text("\nif x:\n");
  writer.text("    # note\n\n  y");
  writer.text(" = 1\n\n\n\n");
  writer.end_code();
  writer.text("after");

  EXPECT_EQ(writer.finish(), "see\n\n    if x:\n        # note\n\n      y = 1\n\nafter");
}

TEST(PlainTextWriterTest, SetsTableRowsOnLines) {
  PlainTextWriter writer;
  for (const auto& [left, right] : {std::pair{"a", "b"}, std::pair{"", "c"}}) {
    writer.begin_row();
    for (const char* cell : {left, right}) {
      writer.begin_cell();
      writer.end_block();  // a paragraph in the cell
      writer.text(cell);
      writer.end_block();
    }
    writer.end_row();
  }

  EXPECT_EQ(writer.finish(), "a | b\n| c");
}

TEST(PlainTextWriterTest, BoundsTheIndentationOfDeepLists) {
  PlainTextWriter writer;
  for (int depth = 0; depth < 1000; ++depth) {
    writer.begin_list();
  }
  writer.begin_item("- ");
  writer.text("deep");

  EXPECT_LT(writer.finish().size(), 40U);
}

}  // namespace
}  // namespace refrag

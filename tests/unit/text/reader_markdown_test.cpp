#include <gtest/gtest.h>

#include "text/reader.h"

namespace refrag {
namespace {

std::string markdown_text(std::string_view markdown) { return read_markdown(markdown, "page").text; }

TEST(ReadMarkdownTest, KeepsHeadingsAsLinesAndTakesTheFirstAsTitle) {
  const Document page = read_markdown("## Before\n\nThe *Moon*\n=====\ntext\n# Other\n", "moon.md");

  EXPECT_EQ(page.id, "moon.md");
  EXPECT_EQ(page.title, "The Moon");
  EXPECT_EQ(page.text, "## Before\n\n# The Moon\n\ntext\n\n# Other");
}

TEST(ReadMarkdownTest, TakesTheTitleOfFrontMatterAndDropsTheRestOfIt) {
  const Document page = read_markdown("---\r\nlayout: x\r\ntitle: \"A: b\"\r\n---\r\n# Heading\r\ntext\r\n", "moon.md");

  EXPECT_EQ(page.title, "A: b");
  EXPECT_EQ(page.text, "# Heading\n\ntext");
}

TEST(ReadMarkdownTest, TakesNoTitleFromTheLineBehindAnEmptyOne) {
  EXPECT_EQ(read_markdown("---\ntitle:\nlayout: x\n---\n# Heading\n", "a").title, "Heading");
  EXPECT_EQ(read_markdown("---\ntitle:\u00e9t\u00e9\n---\ntext\n", "a").title, "\u00e9t\u00e9");
}

TEST(ReadMarkdownTest, KeepsARuleAtTheTopThatIsNoFrontMatter) { EXPECT_EQ(markdown_text("---\ntext\n"), "text"); }

TEST(ReadMarkdownTest, DropsMarksAndAddressesOfInlineText) {
  EXPECT_EQ(markdown_text("a **b** `c  d` [e](http://f) ![g](h.png) ~~i~~ &lt; <b>j</b>\nk  \nl<br>m"),
            "a b c d e g i < j k\nl\nm");
}

TEST(ReadMarkdownTest, KeepsLists) {
  EXPECT_EQ(markdown_text("3. three\n4. four\n   - inner\n\ntext\n\n- [x] done\n- [ ] open\n"),
            "3. three\n4. four\n  - inner\n\ntext\n\n- [x] done\n- [ ] open");
}

TEST(ReadMarkdownTest, KeepsCodeIndentedSoThatItsCommentsAreNoHeadings) {
  EXPECT_EQ(markdown_text("a\n```sh\n# note\n\nls  -l\n```\nb"), "a\n\n    # note\n\n    ls  -l\n\nb");
}

TEST(ReadMarkdownTest, KeepsTables) { EXPECT_EQ(markdown_text("| A | B |\n|---|---|\n| 1 | 2 |\n"), "A | B\n1 | 2"); }

TEST(ReadMarkdownTest, ReadsBlocksOfHtmlAsPages) {
  EXPECT_EQ(markdown_text("a\n\n<div>\n<ul><li>x<li>y</ul>\n<script>z</script>\n</div>\n\n<!-- note -->\n\nb"),
            "a\n\n- x\n- y\n\nb");
}

TEST(ReadMarkdownTest, ReplacesWhatIsNotUtf8) { EXPECT_EQ(markdown_text("a\xff\n"), "a\ufffd"); }

}  // namespace
}  // namespace refrag

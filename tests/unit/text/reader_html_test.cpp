#include <gtest/gtest.h>

#include "refrag/error.h"
#include "text/html_text.h"
#include "text/reader.h"

namespace refrag {
namespace {

std::string text_of(std::string_view html) { return read_html(html, "page").text; }

TEST(ReadHtmlTest, TakesTheTitleFromTheHead) {
  const Document page = read_html("<title> The\n Moon &amp; I</title><h1>Heading</h1><p>text", "a/b.html");

  EXPECT_EQ(page.id, "a/b.html");
  EXPECT_EQ(page.title, "The Moon & I");
  EXPECT_EQ(page.text, "# Heading\n\ntext");
}

TEST(ReadHtmlTest, TakesTheFirstHeadingWhereThereIsNoTitle) {
  EXPECT_EQ(read_html("<h2>no</h2><h1>The<br>Moon</h1><h1>Sun</h1>", "page").title, "The Moon");
}

TEST(ReadHtmlTest, DropsScriptsStylesNavigationAndFooters) {
  EXPECT_EQ(
      text_of(
          "<style>p {}</style><nav><p>Home</p></nav><script>if (a < b) '</p>'</script><p>text</p>"
          "<div role='navigation'>More</div><p hidden>secret</p><svg><title>x</title></svg><footer>Imprint</footer>"),
      "text");
}

TEST(ReadHtmlTest, KeepsAPageThatIsNavigationAlone) { EXPECT_EQ(text_of("<nav><p>all of it"), "all of it"); }

TEST(ReadHtmlTest, TurnsHeadingsIntoLinesThatThePassageCutterSees) {
  EXPECT_EQ(text_of("one<h3>Two <i>and</i> <a class=headerlink>#</a></h3>three"), "one\n\n### Two and\n\nthree");
}

TEST(ReadHtmlTest, LaysOutListsTablesAndCode) {
  EXPECT_EQ(text_of("<ul><li>a<ol><li>b<li><p>c</p></ol></ul>"), "- a\n  1. b\n\n  2. c");
  EXPECT_EQ(
      text_of("<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td></td></tr><tr><td></td><td>2</td></tr></table>x"),
      "A | B\n1 |\n| 2\n\nx");
  EXPECT_EQ(text_of("a<pre>\n  x\n\ty</pre>b"), "a\n\n      x\n    \ty\n\nb");
  EXPECT_EQ(text_of("<img alt='a moon'>up"), "a moon up");
}

TEST(ReadHtmlTest, ReadsUtf8WhateverIsDeclared) {
  EXPECT_EQ(text_of("<p>\u00c9lise"), "\u00c9lise");
  EXPECT_EQ(text_of("<meta charset=iso-8859-1><p>\u00c9lise"), "\u00c9lise");
  EXPECT_EQ(text_of("\xef\xbb\xbf<p>\u00c9lise"), "\u00c9lise");
}

TEST(ReadHtmlTest, ReadsTheDeclaredCharset) {
  EXPECT_EQ(text_of("<meta charset=iso-8859-2><p>\xb1"), "\u0105");
  EXPECT_EQ(text_of("<meta http-equiv='Content-Type' content='text/html; charset=koi8-r'><p>\xed\xc9\xd2"),
            "\u041c\u0438\u0440");
}

TEST(ReadHtmlTest, ReplacesInvalidPartsOfDeclaredUtf8) {
  EXPECT_EQ(text_of("<meta charset=\"UTF-8\"><p>\u00c9 a\xff"
                    "b \u00c9"),
            "\u00c9 a\ufffd"
            "b \u00c9");
}

TEST(ReadHtmlTest, ReadsUtf16) {
  std::string wide("\xff\xfe");
  for (const char c : std::string_view("<p>wide</p>")) {
    wide += {c, '\0'};
  }
  EXPECT_EQ(text_of(wide), "wide");
}

TEST(ReadHtmlTest, SurvivesNulBytesAndBrokenMarkup) {
  EXPECT_EQ(text_of(std::string_view("<p>a\0b", 6)), "ab");
  EXPECT_EQ(text_of("<p <b>x</q></p></p>"), "x");
  EXPECT_EQ(text_of(""), "");
}

TEST(ReadHtmlTest, ExpandsNoEntitiesOfTheDocument) {
  EXPECT_EQ(text_of("<!DOCTYPE html [<!ENTITY a 'bomb'><!ENTITY f SYSTEM 'file:///etc/passwd'>]><p>x &a; &f;</p>")
                .find("root:"),
            std::string::npos);
}

TEST(ReadHtmlTest, RefusesToNestWithoutBound) {
  std::string deep;
  for (int i = 0; i < 100'000; ++i) {
    deep += "<div>";
  }
  try {
    text_of(deep);
    FAIL() << "took 100,000 open elements";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(error.what()).find("deeper than"), std::string::npos);
  }
}

TEST(DecodeEntityTest, KnowsNamesAndNumbers) {
  EXPECT_EQ(decode_entity("&eacute;"), "\u00e9");
  EXPECT_EQ(decode_entity("&#8364;"), "\u20ac");
  EXPECT_EQ(decode_entity("&#x1F600;"), "\U0001F600");
  EXPECT_EQ(decode_entity("&nosuch;"), "&nosuch;");
  EXPECT_EQ(decode_entity("&#xD800;"), "\ufffd");
  EXPECT_EQ(decode_entity("&#99999999999;"), "\ufffd");
}

}  // namespace
}  // namespace refrag

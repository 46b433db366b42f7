#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/files.h"
#include "base/utf8.h"
#include "support/mutate.h"
#include "text/reader.h"

namespace refrag::testing {
namespace {

using std::string_literals::operator""s;

std::string sample(const std::string& name) { return read_file(REFRAG_SOURCE_DIR "/tests/data/documents/" + name); }

void expect_text(const Document& document) {
  EXPECT_TRUE(is_valid_utf8(document.text));
  EXPECT_TRUE(is_valid_utf8(document.title));
}

TEST(ReadersFuzz, HtmlIsReadOrRefused) {
  fuzz({sample("lighthouse.html"), "<meta charset=utf-16><p>x", "<table><td><pre>a</table></pre><ol><li><h1><li>b</ol>",
        "\xff\xfe<\0p\0>\0x\0"s, "<!DOCTYPE a [<!ENTITY b '&b;&b;'>]>&b;<![CDATA[<p>]]><?xml encoding='koi8-r'?>"},
       [](const std::string& bytes) { expect_text(read_html(bytes, "id")); });
}

TEST(ReadersFuzz, MarkdownIsReadOrRefused) {
  fuzz({sample("kettle.md"), "---\ntitle: x\n---\n> - 1. # a\n>   ```\n",
        "<div>\n*a* **b** `c` [d](e \"f\") &#x41; &amp;\n</div>\n\n|a|\n|-|\n"},
       [](const std::string& bytes) { expect_text(read_markdown(bytes, "id")); });
}

TEST(ReadersFuzz, PlainTextIsRead) {
  fuzz({sample("moon.txt"), "\xff\xfeM\0\x3d\xd8\x00\xde"s, "\xfe\xff\xd8\x3d\xde", "\xff\xfe\0\0M\0\0\0"s},
       [](const std::string& bytes) { expect_text(read_text(bytes, "id")); });
}

TEST(ReadersFuzz, JsonLinesAreReadOrRefusedByName) {
  std::vector<std::string> lines{
      R"({"id": "a", "text": "x", "metadata": {"a": 1e308, "b": [{}], "c": null, "d": "\ud83d\ude00"}})"};
  const std::string planets = sample("planets.jsonl");
  for (std::size_t begin = 0; begin < planets.size();) {
    const std::size_t end = planets.find('\n', begin);
    lines.push_back(planets.substr(begin, end - begin));
    begin = end + 1;
  }
  fuzz(lines, [](const std::string& line) {
    const ReadResult result = try_read_json_document(line, "lines:1");
    expect_text(result.document);
    if (!result.error.empty()) {
      EXPECT_TRUE(is_valid_utf8(result.error));
      read_json_document(line);
      ADD_FAILURE() << "refused once and read once";
    }
  });
}

// A process an input: fewer of them.
TEST(ReadersFuzz, PdfIsReadOrRefused) {
  fuzz(
      {sample("tea.pdf")}, [](const std::string& bytes) { expect_text(read_pdf(bytes, "id", {.pdf_seconds = 5})); },
      fuzz_rounds() / 20);
}

}  // namespace
}  // namespace refrag::testing

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/files.h"
#include "refrag/error.h"
#include "text/reader.h"

namespace refrag {
namespace {

std::string tea() { return read_file(REFRAG_SOURCE_DIR "/tests/data/documents/tea.pdf"); }

ErrorCode code_of(std::string_view bytes, const ReaderLimits& limits = {}) {
  try {
    read_pdf(bytes, "file.pdf", limits);
  } catch (const Error& error) {
    return error.code();
  }
  ADD_FAILURE() << "was read";
  return ErrorCode::kInternal;
}

TEST(ReadPdfTest, GivesTheTextOfEveryPage) {
  const Document document = read_pdf(tea(), "tea.pdf");

  EXPECT_EQ(document.id, "tea.pdf");
  EXPECT_NE(document.text.find("320 metres above the sea"), std::string::npos);
  EXPECT_NE(document.text.find("\n\nHarvest\n"), std::string::npos) << "pages are apart by a blank line";
}

TEST(ReadPdfTest, RefusesWhatIsNoPdf) {
  EXPECT_EQ(code_of("hello"), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of(""), ErrorCode::kCorrupt);
  EXPECT_EQ(code_of("%PDF-1.4\ngarbage"), ErrorCode::kCorrupt);
}

TEST(ReadPdfTest, SaysThatAPageWithoutTextHasNone) {
  std::string blank = tea();
  for (std::size_t at = blank.find(") Tj"); at != std::string::npos; at = blank.find(") Tj", at + 1)) {
    blank.replace(at, 4, ") xx");
  }
  EXPECT_EQ(code_of(blank), ErrorCode::kInvalidArgument);
}

TEST(ReadPdfTest, ReportsAChildThatRunsOutOfMemory) {
  EXPECT_EQ(code_of(tea(), {.pdf_memory_bytes = 1u << 20}), ErrorCode::kCorrupt);
}

TEST(ReadPdfTest, SaysHowToInstallWhatIsMissing) {
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", "/nonexistent", 1);
  const ErrorCode code = code_of(tea());
  ::setenv("PATH", path.c_str(), 1);

  EXPECT_EQ(code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace refrag

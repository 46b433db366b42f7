#include "cli/terminal.h"

#include <gtest/gtest.h>

namespace refrag::cli {
namespace {

TEST(TerminalTest, ColoursAreUsedOnlyWhereTheTerminalHasThem) {
  const Terminal plain{.colors = false, .width = 80};
  const Terminal colored{.colors = true, .width = 80};
  EXPECT_EQ(plain.dim("x"), "x");
  EXPECT_EQ(colored.dim("x"), "\033[2mx\033[0m");
  EXPECT_EQ(colored.dim(""), "");
}

TEST(TerminalTest, ADocumentCannotSteerTheTerminal) {
  EXPECT_EQ(printable("a\033[31mb\a\x7F"), "a?[31mb??");
  EXPECT_EQ(printable("line\nnext\tcolumn"), "line\nnext\tcolumn");
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m caf\xC3\xA9"),
            "?31m caf\xC3\xA9");
  EXPECT_EQ(printable("\x9B"
                      "31m"),
            "\xEF\xBF\xBD"
            "31m");
}

}  // namespace
}  // namespace refrag::cli

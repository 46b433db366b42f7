#include <gmock/gmock.h>
#include <link.h>

#include <string>
#include <vector>

namespace refrag::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> loaded_libraries() {
  std::vector<std::string> names;
  dl_iterate_phdr(
      [](dl_phdr_info* library, std::size_t, void* to) {
        static_cast<std::vector<std::string>*>(to)->emplace_back(library->dlpi_name);
        return 0;
      },
      &names);
  return names;
}

// This program links base, text, store, retrieve and engine, with --no-as-needed.
TEST(TorchFreeTest, LayersBelowTheModelLinkNoLibtorch) {
  const std::vector<std::string> libraries = loaded_libraries();
  EXPECT_THAT(libraries, Contains(HasSubstr("libsqlite3")));  // so what the layers link does show here
  EXPECT_THAT(libraries, Each(AllOf(Not(HasSubstr("torch")), Not(HasSubstr("libc10")))));
}

}  // namespace
}  // namespace refrag::testing

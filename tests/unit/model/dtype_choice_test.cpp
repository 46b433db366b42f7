#include "model/dtype_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <utility>

#include "base/cpu.h"
#include "base/files.h"
#include "base/json_reader.h"
#include "support/errors.h"

namespace refrag {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

/// Sets a variable of the environment while it lives; null takes it away.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~Variable() { set(before_ ? before_->c_str() : nullptr); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  void set(const char* value) const { value == nullptr ? ::unsetenv(name_) : ::setenv(name_, value, 1); }

  const char* name_;
  std::optional<std::string> before_;
};

class DtypeChoiceTest : public ::testing::Test {
 protected:
  Dtype remembered(const std::string& key, Dtype measured) {
    return remembered_dtype(file_, key, [&] {
      ++measurements_;
      return measured;
    });
  }

  TemporaryDirectory directory_;
  std::filesystem::path file_ = directory_.path() / "cache" / "refrag" / "dtype.json";
  int measurements_ = 0;
};

TEST_F(DtypeChoiceTest, MeasuresOnceAProcessorAndNumberOfThreads) {
  EXPECT_EQ(remembered("one, 2 threads", Dtype::kBf16), Dtype::kBf16);
  EXPECT_EQ(remembered("one, 2 threads", Dtype::kFp32), Dtype::kBf16);
  EXPECT_EQ(measurements_, 1);
  EXPECT_EQ(remembered("one, 4 threads", Dtype::kFp32), Dtype::kFp32);
  EXPECT_EQ(remembered("one, 2 threads", Dtype::kFp32), Dtype::kBf16) << "another entry took its place";
  EXPECT_EQ(measurements_, 2);
}

TEST_F(DtypeChoiceTest, AFileThatIsNotOursIsReplaced) {
  std::filesystem::create_directories(file_.parent_path());
  int measurements = 0;
  for (const char* content :
       {"", "{", "[1]", "null", R"({"format": 2, "fastest": {"one": "bf16"}})",
        R"({"format": "1", "fastest": {"one": "bf16"}})", R"({"format": 1, "fastest": 7})",
        R"({"format": 1, "fastest": {"one": "int8"}})", R"({"format": 1, "fastest": {"one": 3}})"}) {
    write_file_atomic(file_, content);
    EXPECT_EQ(remembered("one", Dtype::kFp32), Dtype::kFp32) << content;
    EXPECT_EQ(measurements_, ++measurements) << content;
    EXPECT_EQ(remembered("one", Dtype::kBf16), Dtype::kFp32) << content;
  }
}

TEST_F(DtypeChoiceTest, ACacheThatCannotBeWrittenIsNoError) {
  write_file_atomic(directory_.path() / "cache", "a file where a directory should be");
  EXPECT_EQ(remembered("one", Dtype::kBf16), Dtype::kBf16);
  EXPECT_EQ(remembered("one", Dtype::kFp32), Dtype::kFp32);
  EXPECT_EQ(remembered_dtype(std::nullopt, "one", [] { return Dtype::kBf16; }), Dtype::kBf16);
}

TEST_F(DtypeChoiceTest, TheCacheLiesWhereTheEnvironmentSays) {
  const Variable cache("XDG_CACHE_HOME", "/elsewhere");
  EXPECT_EQ(dtype_cache_file(), "/elsewhere/refrag/dtype.json");
  const Variable no_cache("XDG_CACHE_HOME", nullptr);
  const Variable home("HOME", "/home/somebody");
  EXPECT_EQ(dtype_cache_file(), "/home/somebody/.cache/refrag/dtype.json");
  const Variable no_home("HOME", nullptr);
  EXPECT_EQ(dtype_cache_file(), std::nullopt);
}

TEST_F(DtypeChoiceTest, TheEnvironmentDecidesWithoutMeasuring) {
  const Variable cache("XDG_CACHE_HOME", directory_.path().c_str());
  for (const Dtype dtype : {Dtype::kFp32, Dtype::kBf16}) {
    const Variable choice("REFRAG_AUTO_DTYPE", name_of(dtype));
    EXPECT_EQ(fastest_dtype(1), dtype);
  }
  EXPECT_FALSE(std::filesystem::exists(*dtype_cache_file()));
  const Variable wrong("REFRAG_AUTO_DTYPE", "int8");
  const Error error = error_of([] { fastest_dtype(1); });
  EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(error.what(), HasSubstr("REFRAG_AUTO_DTYPE is 'int8'; expected fp32 or bf16"));
}

TEST_F(DtypeChoiceTest, Bf16IsNeverEmulated) {
  const Variable cache("XDG_CACHE_HOME", directory_.path().c_str());
  const Variable no_choice("REFRAG_AUTO_DTYPE", nullptr);
  const CpuFeatures cpu = cpu_features();
  if (cpu.avx512_bf16 || cpu.amx_bf16) {
    const Dtype measured = fastest_dtype(1);
    const Dtype other = measured == Dtype::kBf16 ? Dtype::kFp32 : Dtype::kBf16;
    Json cache = parse_json_file(*dtype_cache_file());
    ASSERT_EQ(cache["fastest"].size(), 1U);
    EXPECT_EQ(cache["fastest"].front(), name_of(measured));
    cache["fastest"].front() = name_of(other);
    write_file_atomic(*dtype_cache_file(), cache.dump());
    EXPECT_EQ(fastest_dtype(1), other) << "measured again, though the file knows this processor";
  } else {
    EXPECT_EQ(fastest_dtype(1), Dtype::kFp32);
    EXPECT_FALSE(std::filesystem::exists(*dtype_cache_file())) << "measured for nothing";
  }
}

}  // namespace
}  // namespace refrag

#include "model/safetensors.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/message.h"
#include "support/errors.h"

namespace refrag {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

/// A file of the header text and so many bytes of data.
std::string file_of(const std::string& header, std::size_t data_bytes) {
  std::string file(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) {
    file[i] = static_cast<char>((header.size() >> (8 * i)) & 0xff);
  }
  return file + header + std::string(data_bytes, '\1');
}

std::map<std::string, TensorEntry> parse(const std::string& content) {
  return parse_safetensors(content, "m.safetensors");
}

/// The file must be refused as corrupt, by a message that names it and says `what`.
void expect_corrupt(const std::string& content, const std::string& what) {
  const Error error = error_of([&] { parse(content); });
  EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << error.what();
  EXPECT_THAT(error.what(), HasSubstr("m.safetensors"));
  EXPECT_THAT(error.what(), HasSubstr(what));
}

constexpr const char* kOneTensor = R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}})";

TEST(SafetensorsTest, ReadsNamesShapesAndOffsets) {
  const auto entries = parse(file_of(kOneTensor, 24));

  ASSERT_EQ(entries.size(), 1U);
  const TensorEntry& entry = entries.at("w");
  EXPECT_EQ(entry.dtype, at::kFloat);
  EXPECT_EQ(entry.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(entry.begin, 8 + std::string(kOneTensor).size());
  EXPECT_EQ(entry.bytes(), 24U);
}

TEST(SafetensorsTest, PassesOverMetadataAndPadding) {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BOOL","shape":[],"data_offsets":[0,1]}}   )";

  EXPECT_EQ(parse(file_of(header, 1)).count("b"), 1U);
}

TEST(SafetensorsTest, RefusesAFileTooShortForItsHeader) {
  expect_corrupt("", "has 0 bytes");
  expect_corrupt(std::string(7, '\0'), "has 7 bytes");
  expect_corrupt(file_of(kOneTensor, 24).substr(0, 20), "header length");
}

TEST(SafetensorsTest, RefusesHeaderLengthsThatTheFileCannotHold) {
  for (const char* length :
       {"\xff\xff\xff\xff\xff\xff\xff\xff", "\xf8\xff\xff\xff\xff\xff\xff\xff", "\x00\x00\x00\x00\x00\x00\x00\x80"}) {
    expect_corrupt(std::string(length, 8) + kOneTensor, "header length");
  }
}

TEST(SafetensorsTest, RefusesHeadersThatAreNotJsonObjects) {
  expect_corrupt(file_of("", 0), "header");
  expect_corrupt(file_of("{\"w\"", 0), "header");
  expect_corrupt(file_of("[]", 0), "not a JSON object");
  expect_corrupt(file_of("{\"\xff\":1}", 0), "header");
  expect_corrupt(file_of(std::string(100000, '['), 0), "header");
  expect_corrupt(file_of(R"({"__metadata__":{"a":1}})", 0), "__metadata__");
}

TEST(SafetensorsTest, RefusesANameThatOccursTwice) {
  expect_corrupt(
      file_of(
          R"({"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
          2),
      "\"w\" stands twice");
}

struct BadEntry {
  const char* entry;
  const char* what;
};

class SafetensorsEntryTest : public ::testing::TestWithParam<BadEntry> {};

TEST_P(SafetensorsEntryTest, IsRefusedByTheTensorsName) {
  const std::string content = file_of(std::string("{\"w\":") + GetParam().entry + "}", 24);

  expect_corrupt(content, "tensor \"w\"");
  expect_corrupt(content, GetParam().what);
}

INSTANTIATE_TEST_SUITE_P(
    Hostile, SafetensorsEntryTest,
    ::testing::Values(BadEntry{"7", "object"}, BadEntry{R"({"dtype":"F32","shape":[6]})", "lacks"},
                      BadEntry{R"({"dtype":"F32","shape":[6],"data_offsets":[0,24],"more":1})", "\"more\""},
                      BadEntry{R"({"dtype":3,"shape":[6],"data_offsets":[0,24]})", "dtype"},
                      BadEntry{R"({"dtype":"F32","shape":6,"data_offsets":[0,24]})", "shape"},
                      BadEntry{R"({"dtype":"F32","shape":[-6],"data_offsets":[0,24]})", "shape"},
                      BadEntry{R"({"dtype":"F32","shape":[6.0],"data_offsets":[0,24]})", "shape"},
                      BadEntry{R"({"dtype":"F32","shape":[[6]],"data_offsets":[0,24]})", "shape"},
                      BadEntry{R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,24]})", "shape"},
                      BadEntry{R"({"dtype":"F32","shape":[5],"data_offsets":[0,24]})", "expected 20"},
                      BadEntry{R"({"dtype":"F16","shape":[6],"data_offsets":[0,24]})", "expected 12"},
                      // 2^62 floats need 2^64 bytes, which wraps around to 0; with a 0 among the sizes the strides
                      // would still overflow.
                      BadEntry{R"({"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]})", "64 bits"},
                      BadEntry{R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})", "64 bits"},
                      BadEntry{R"({"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]})", "64 bits"},
                      BadEntry{R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,6],"data_offsets":[0,24]})",
                               "17 dimensions"},
                      BadEntry{R"({"dtype":"F32","shape":[6],"data_offsets":[24,0]})", "data_offsets"},
                      BadEntry{R"({"dtype":"F32","shape":[6],"data_offsets":[0]})", "data_offsets"},
                      BadEntry{R"({"dtype":"F32","shape":[7],"data_offsets":[0,28]})", "24 bytes of data"},
                      BadEntry{
                          R"({"dtype":"F32","shape":[6],"data_offsets":[9223372036854775807,9223372036854775807]})",
                          "data_offsets"}));

TEST(SafetensorsTest, RefusesTensorsThatOverlapOrLeaveGaps) {
  const auto two = [](const std::string& second) {
    return R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":)" +
           second + "}}";
  };
  EXPECT_EQ(parse(file_of(two("[4,8]"), 8)).size(), 2U);
  expect_corrupt(file_of(two("[2,6]"), 6), "tensor \"b\" overlaps");
  expect_corrupt(file_of(two("[5,9]"), 9), "tensor \"b\" leaves a gap");
  expect_corrupt(file_of(two("[4,8]"), 9), "1 bytes after the last tensor");
}

TEST(SafetensorsTest, NamesADtypeThatItDoesNotRead) {
  const Error error =
      error_of([] { parse(file_of(R"({"w":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}})", 2)); });

  EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
  EXPECT_THAT(error.what(), HasSubstr("tensor \"w\" has dtype F8_E4M3"));
}

TEST(SafetensorsTest, QuotesALongNameUpToAWholeCharacter) {
  const std::string name = std::string(199, 'n') + "\xC3\xA9";  // e with an accent, on both sides of the limit
  const std::string dtype = std::string(199, 'd') + "\xC3\xA9";

  expect_corrupt(file_of(message("{\"", name, "\":7}"), 0), message('"', std::string(199, 'n'), '"'));
  const std::string entry = message(R"({"dtype":")", dtype, R"(","shape":[2],"data_offsets":[0,2]})");
  const Error error = error_of([&] { parse(file_of(message("{\"", name, "\":", entry, "}"), 2)); });
  EXPECT_THAT(error.what(), HasSubstr(message(std::string(199, 'n'), "\" has dtype ", std::string(199, 'd'), ";")));
}

TEST(SafetensorsTest, LeavesNoPartOfAFileThatCannotBeWritten) {
  const TemporaryDirectory directory;
  const std::filesystem::path place = directory.path() / "x.safetensors";
  std::filesystem::create_directory(place);  // nothing can be renamed onto it

  const Error error = error_of([&] { write_safetensors(place, {{"w", at::ones({2})}}); });

  EXPECT_EQ(error.code(), ErrorCode::kIo);
  EXPECT_FALSE(std::filesystem::exists(directory.path() / "x.safetensors.tmp"));
}

TEST(SafetensorsTest, ReadsBackWhatItWrites) {
  const TemporaryDirectory directory;
  const std::map<std::string, at::Tensor> tensors = {{"half", at::randn({3, 5}).to(at::kHalf)},
                                                     {"brain", at::randn({7}).to(at::kBFloat16)},
                                                     {"flags", at::ones({3}, at::kBool)},
                                                     {"ids", at::arange(4, at::kLong)},
                                                     {"scalar", at::tensor(2.5)},
                                                     {"none", at::empty({0, 4})},
                                                     {"turned", at::randn({4, 6}).t()}};

  write_safetensors(directory.path() / "x.safetensors", tensors);
  const SafetensorsFile file(directory.path() / "x.safetensors");

  ASSERT_EQ(file.entries().size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_TRUE(at::equal(file.tensor(file.entries().at(name)), tensor)) << name;
  }
}

TEST(SafetensorsTest, TensorsOutliveTheFileTheyCameFrom) {
  const TemporaryDirectory directory;
  at::Tensor tensor;
  {
    write_safetensors(directory.path() / "x.safetensors", {{"w", at::arange(1000, at::kFloat)}});
    const SafetensorsFile file(directory.path() / "x.safetensors");
    tensor = file.tensor(file.entries().at("w"));
  }

  EXPECT_EQ(tensor[999].item<float>(), 999.0F);
}

TEST(SafetensorsTest, CopiesTensorsThatAreNotAligned) {
  const TemporaryDirectory directory;
  const std::string header =
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})";
  write_file_atomic(directory.path() / "x.safetensors", file_of(header, 9));
  const SafetensorsFile file(directory.path() / "x.safetensors");

  const at::Tensor tensor = file.tensor(file.entries().at("b"));

  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr()) % alignof(float), 0U);
  EXPECT_EQ(tensor[0].item<float>(), tensor[1].item<float>());
}

}  // namespace
}  // namespace refrag

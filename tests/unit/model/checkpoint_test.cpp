#include "model/checkpoint.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "support/errors.h"

namespace refrag {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

class CheckpointTest : public ::testing::Test {
 protected:
  void write_shard(const std::string& file, const std::map<std::string, at::Tensor>& tensors) const {
    write_safetensors(root() / file, tensors);
  }
  void write_index(const std::string& weight_map) const {
    write_file_atomic(root() / "model.safetensors.index.json", "{\"weight_map\":" + weight_map + "}");
  }
  const std::filesystem::path& root() const { return directory_.path(); }
  Error open_error() const {
    return error_of([&] { Checkpoint::open(root()); });
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(CheckpointTest, FindsTensorsInTheShardsOfAnIndex) {
  write_shard("one.safetensors", {{"a", at::ones({2})}});
  write_shard("two.safetensors", {{"b", at::zeros({3})}});
  write_index(R"({"a":"one.safetensors","b":"two.safetensors"})");

  const Checkpoint checkpoint = Checkpoint::open(root());

  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(at::equal(checkpoint.tensor("a", {2}), at::ones({2})));
  EXPECT_EQ(checkpoint.file_of("b"), (root() / "two.safetensors").string());
}

TEST_F(CheckpointTest, CountsParametersAndBytes) {
  write_shard("model.safetensors", {{"ids", at::arange(4, at::kLong)}, {"w", at::ones({3, 5}, at::kHalf)}});

  const Checkpoint checkpoint = Checkpoint::open(root());

  EXPECT_EQ(checkpoint.parameters(), 15U);
  EXPECT_EQ(checkpoint.bytes(), 62U);
  EXPECT_EQ(checkpoint.dtype_name(), "I64");
}

TEST_F(CheckpointTest, NamesTheTensorThatIsMissing) {
  write_shard("model.safetensors", {{"a", at::ones({2})}});
  const Checkpoint checkpoint = Checkpoint::open(root());

  const Error error = error_of([&] { checkpoint.tensor("b"); });

  EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  EXPECT_THAT(error.what(), HasSubstr("no tensor \"b\""));
}

TEST_F(CheckpointTest, NamesTheFileTheTensorAndBothShapes) {
  write_shard("model.safetensors", {{"a", at::ones({2, 3})}});
  const Checkpoint checkpoint = Checkpoint::open(root());

  const Error error = error_of([&] { checkpoint.tensor("a", {3, 2}); });

  EXPECT_EQ(error.code(), ErrorCode::kCorrupt);
  EXPECT_EQ(std::string(error.what()),
            (root() / "model.safetensors").string() + ": tensor \"a\" has shape [2, 3]; expected [3, 2]");
}

TEST_F(CheckpointTest, RefusesAnIndexThatPointsOutOfItsDirectory) {
  for (const char* shard : {R"("../x.safetensors")", R"("/etc/x.safetensors")", R"("a\\b.safetensors")", R"("x.bin")",
                            R"("x\u0000y.safetensors")", "7"}) {
    write_index(std::string("{\"a\":") + shard + "}");

    const Error error = open_error();

    EXPECT_EQ(error.code(), ErrorCode::kCorrupt) << shard;
    EXPECT_THAT(error.what(), HasSubstr("weight_map puts tensor \"a\" into")) << shard;
  }
}

TEST_F(CheckpointTest, RefusesATensorThatItsShardLacks) {
  write_shard("one.safetensors", {{"a", at::ones({2})}});
  write_shard("two.safetensors", {{"b", at::ones({2})}});
  write_index(R"({"a":"two.safetensors","b":"two.safetensors"})");
  EXPECT_THAT(open_error().what(), HasSubstr("no tensor \"a\""));

  write_index(R"({"a":"two.safetensors","b":"one.safetensors"})");
  EXPECT_THAT(open_error().what(), HasSubstr("no tensor \"a\""));
}

TEST_F(CheckpointTest, RefusesATensorThatIsInTwoShards) {
  write_shard("one.safetensors", {{"a", at::ones({2})}});
  write_shard("two.safetensors", {{"a", at::ones({2})}, {"b", at::ones({2})}});
  write_index(R"({"a":"one.safetensors","b":"two.safetensors"})");

  EXPECT_THAT(open_error().what(), HasSubstr("tensor \"a\" is also in"));
}

TEST_F(CheckpointTest, RefusesAnIndexWithoutAWeightMap) {
  write_file_atomic(root() / "model.safetensors.index.json", "{}");
  EXPECT_THAT(open_error().what(), HasSubstr("weight_map"));

  write_index("{}");
  EXPECT_THAT(open_error().what(), HasSubstr("weight_map"));
}

TEST_F(CheckpointTest, SaysWhichFilesItLooksFor) {
  EXPECT_EQ(open_error().code(), ErrorCode::kNotFound);
  EXPECT_THAT(open_error().what(), HasSubstr("model.safetensors"));

  write_file_atomic(root() / "pytorch_model.bin", "pickle");
  EXPECT_EQ(open_error().code(), ErrorCode::kUnsupported);
  EXPECT_THAT(open_error().what(), HasSubstr("pytorch_model.bin"));
}

TEST_F(CheckpointTest, TakesTensorsThatNoFileHolds) {
  const Checkpoint checkpoint =
      Checkpoint::of_tensors({{"a", at::ones({2, 3})}, {"b", at::zeros({4}, at::kLong)}}, "made");

  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(checkpoint.parameters(), 6U);
  EXPECT_EQ(checkpoint.bytes(), 6U * 4 + 4 * 8);
  EXPECT_TRUE(checkpoint.weight("a", {2, 3}).equal(at::ones({2, 3})));
  EXPECT_THAT(error_of([&] {
                checkpoint.weight("a", {3, 2});
              }).what(),
              HasSubstr("made: tensor \"a\" has shape [2, 3]"));
  EXPECT_THAT(error_of([&] { checkpoint.tensor("c"); }).what(), HasSubstr("made: no tensor \"c\""));
}

}  // namespace
}  // namespace refrag
